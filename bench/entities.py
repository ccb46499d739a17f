"""Entities against the known facts of agreements: how many are found, and how many of what is found.

    python bench/entities.py DIRECTORY_OF_PDFS FACTS.tsv

FACTS holds a line for each document: its file name, a tab, then facts as `key=value` divided by spaces,
with `_` for a space in a value: `party` (any number), `jurisdiction` (of which the law governs),
`effective_date` (ISO).

How they are compared: mention and fact are normalised alike (`ingest_assets.extraction.normal`: a
party without its legal form, punctuation and case, or as a person without middle initials; a
jurisdiction as its ISO 3166 code; a date as ISO) and must then be equal. A fact counts as found if any
mention of its type (party: organisation or person) anywhere in its document equals it. Values are
counted once a document.

- "anywhere": recall is the share of facts that are found. Precision is the share of distinct values of
  the type that are facts; it is low by nature, since most organisations, places and dates that an
  agreement rightly mentions are not its parties, its law or its date.
- "by place": the same of only those mentions that stand where such facts stand: parties in the first
  1,200 characters; the first complete date; the first jurisdiction within 120 characters behind `laws
  of`.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import click
from local_files import stored_file

from ingest_assets.extraction import normal
from ingest_assets.extraction.engine import Mention
from ingest_assets.extraction.local import LocalEngine
from ingest_assets.ocr.local import LocalEngine as Reader

Values = Collection[tuple[str, str]]
TYPES = {
    "party": ("organization", "person"),
    "jurisdiction": ("jurisdiction",),
    "effective_date": ("date",),
}
_BEGINNING = 1_200
_LAW = re.compile(r"laws?\s+of\b")
_BEHIND_LAW = 120


def read_facts(path: Path) -> Mapping[str, Mapping[str, list[str]]]:
    """Facts by document and key."""
    facts: dict[str, dict[str, list[str]]] = {}
    for line in path.read_text().splitlines():
        name, _, pairs = line.partition("\t")
        of_document = facts.setdefault(name, {})
        for pair in pairs.split():
            key, _, value = pair.partition("=")
            of_document.setdefault(key, []).append(value.replace("_", " "))
    return facts


def normalised(key: str, value: str) -> Values:
    """What a mention may say to say this fact."""
    if key == "party":
        return {("organization", normal.organization(value)), ("person", normal.person(value))}
    if key == "jurisdiction":
        return {("jurisdiction", normal.jurisdiction(value) or value)}
    return {("date", value)}


def anywhere(key: str, _text: str, mentions: Collection[Mention]) -> Values:
    return {(m.entity_type, m.normalised) for m in mentions if m.entity_type in TYPES[key]}


def by_place(key: str, text: str, mentions: Collection[Mention]) -> Values:
    of_type = [m for m in mentions if m.entity_type in TYPES[key]]
    if key == "party":
        chosen = [m for m in of_type if m.start < _BEGINNING]
    elif key == "effective_date":
        chosen = [m for m in of_type if len(m.normalised) == len("2001-04-18")][:1]
    else:
        laws = [match.end() for match in _LAW.finditer(text)]
        chosen = [m for m in of_type if any(0 <= m.start - law < _BEHIND_LAW for law in laws)][:1]
    return {(m.entity_type, m.normalised) for m in chosen}


def compare(
    facts: Mapping[str, Mapping[str, list[str]]],
    texts: Mapping[str, str],
    mentions: Mapping[str, Collection[Mention]],
    choose: Callable[[str, str, Collection[Mention]], Values],
    missed: list[str],
) -> None:
    """Print recall and precision for each key."""
    for key in TYPES:
        known = found = values = right = 0
        for name, of_document in facts.items():
            if key not in of_document:
                continue
            said = choose(key, texts[name], mentions[name])
            wanted = [normalised(key, value) for value in of_document[key]]
            known += len(wanted)
            found += sum(not set(said).isdisjoint(alternatives) for alternatives in wanted)
            values += len(said)
            right += sum(any(value in alternatives for alternatives in wanted) for value in said)
            missed += [
                f"{name} {key}={value}"
                for value, alternatives in zip(of_document[key], wanted, strict=True)
                if set(said).isdisjoint(alternatives)
            ]
        print(
            f"  {key:<15} facts {known:4}  found {found:4}  recall {found / known:6.1%}   "
            f"values {values:5}  precision {right / max(values, 1):6.1%}"
        )


def report(
    facts: Mapping[str, Mapping[str, list[str]]],
    texts: Mapping[str, str],
    mentions: Mapping[str, Collection[Mention]],
    show_missed: bool,
) -> None:
    for title, choose in (("anywhere", anywhere), ("by place", by_place)):
        missed: list[str] = []
        print(title)
        compare(facts, texts, mentions, choose, missed)
        if show_missed:
            print("\n".join(f"    {line}" for line in missed))


@click.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("facts_file", type=click.Path(exists=True, path_type=Path))
@click.option("--missed", is_flag=True, help="Name the facts that were not found.")
def main(directory: Path, facts_file: Path, missed: bool) -> None:
    """Read, extract, compare."""
    facts = read_facts(facts_file)
    reader, engine = Reader(workers=1), LocalEngine(workers=1)
    try:
        texts = {
            name: "\n\n".join(
                page.text for page in reader.recognise(stored_file(directory / name)).pages
            )
            for name in facts
        }
        engine.extract("The process starts.")
        started = time.perf_counter()
        mentions = {name: engine.extract(text) for name, text in texts.items()}
        seconds = time.perf_counter() - started
    finally:
        reader.close()
        engine.close()
    characters = sum(map(len, texts.values()))
    print(f"{engine.name}: {engine.version}")
    print(
        f"{len(texts)} documents, {characters:,} characters, one process: {seconds:.1f} s, "
        f"{1000 * seconds / len(texts):.0f} ms a document"
    )
    counts = Counter(mention.entity_type for found in mentions.values() for mention in found)
    print("  ".join(f"{entity_type} {count:,}" for entity_type, count in counts.most_common()))
    report(facts, texts, mentions, missed)


if __name__ == "__main__":
    main()
