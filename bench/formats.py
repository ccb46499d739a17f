"""What becomes of files of all types, with the habits of the programs that write them.

    python -m bench.formats [--only PART_OF_NAME] [--all] [--write DIRECTORY]

Reads each of the files that `ingest_assets_tests.support.made_files` makes, with what is inside it,
without servers and without recognising pictures, and prints a table by type. What is not right is
listed.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from pathlib import Path

from ingest_assets_tests.support.made_files import VERDICTS, judge, made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="part of the names of files")
    parser.add_argument("--all", action="store_true", help="list files that are right, too")
    parser.add_argument("--write", type=Path, help="also write the files here")
    options = parser.parse_args()
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for one in made():
        if options.only not in one.name:
            continue
        if options.write:
            options.write.mkdir(parents=True, exist_ok=True)
            (options.write / one.name).write_bytes(one.data)
        verdict, why = judge(one)
        counts[one.kind][verdict] += 1
        if options.all or verdict not in ("right", "refused"):
            print(f"{verdict:8} {one.name}: {why}", file=sys.stderr)
    print(f"| type | tried | {' | '.join(VERDICTS)} |\n|---|{'---|' * (1 + len(VERDICTS))}")
    for kind, found in counts.items():
        print(f"| {kind} | {found.total()} | {' | '.join(str(found[name]) for name in VERDICTS)} |")
    total = sum(counts.values(), Counter())
    print(f"| all | {total.total()} | {' | '.join(str(total[name]) for name in VERDICTS)} |")


if __name__ == "__main__":
    main()
