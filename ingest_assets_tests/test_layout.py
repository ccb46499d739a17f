"""The order of the wings holds, and what holds it catches who breaks it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
PARSERS = (
    *("PIL", "chardet", "defusedxml", "eyecite", "numpy", "phonenumbers"),
    *("pikepdf", "pypdfium2", "tesserocr"),
)
# One breach of each contract: the module, and what is written into it.
BREACHES = {
    "Imports run one way": ("store/names.py", "from ingest_assets.stages import runner"),
    "No circles between modules": ("store/locks.py", "from ingest_assets.store import object_store"),
    "Dagster only in its wing": ("operations/status.py", "    import dagster"),
    "Nothing imports a sandbox": ("stages/content.py", "from ingest_assets.ocr.sandbox import pdf"),
    "Parsers of untrusted files only in a sandbox": ("stages/source.py", "    import PIL.Image"),
}


def planted(directory: Path) -> Path:
    """A copy of the package with every breach in it, some inside a function."""
    shutil.copytree(PROJECT / "ingest_assets", directory / "ingest_assets")
    shutil.copy(PROJECT / "pyproject.toml", directory)
    for module, line in BREACHES.values():
        with (directory / "ingest_assets" / module).open("a") as file:
            file.write(f"\n\ndef planted() -> None:\n{line}\n" if line[0] == " " else f"\n{line}\n")
    # The other half of the circle.
    with (directory / "ingest_assets/store/object_store.py").open("a") as file:
        file.write("\nfrom ingest_assets.store import locks\n")
    with (directory / "ingest_assets/defs/checks.py").open("a") as file:
        file.write("\nfrom dagster._core.events import ASSET_EVENTS\n")
    return directory


def test_each_contract_catches_a_breach(tmp_path: Path) -> None:
    copy = planted(tmp_path)
    contracts = subprocess.run(
        [BIN / "lint-imports", "--no-cache"], cwd=copy, capture_output=True, text=True, check=False
    )
    broken = re.findall(r"^(.+) BROKEN", contracts.stdout, re.MULTILINE)
    assert set(broken) == set(BREACHES), contracts.stdout + contracts.stderr
    style = subprocess.run(
        [BIN / "ruff", "check", "--no-cache", "--select", "TID251", "--output-format", "concise"],
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
    )
    (found,) = [line for line in style.stdout.splitlines() if "TID251" in line]
    assert found.startswith("ingest_assets/defs/checks.py")


def test_the_process_that_runs_the_pipeline_loads_no_parser_and_nothing_that_draws() -> None:
    code = (
        "import sys\n"
        "import ingest_assets.definitions, ingest_assets.extraction.comprehend\n"
        "import ingest_assets.ocr.textract.engine\n"
        "import ingest_assets.cli.report, ingest_assets.cli.status\n"
        f"print(*({{'matplotlib', *{PARSERS!r}}} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_an_installed_package_has_every_file(tmp_path: Path) -> None:
    shutil.copytree(
        PROJECT / "ingest_assets",
        tmp_path / "ingest_assets",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, tmp_path)
    build = [sys.executable, "setup.py", "--quiet", "build_py", "--build-lib", "built"]
    subprocess.run(build, cwd=tmp_path, check=True)

    def files(directory: Path) -> set[Path]:
        return {one.relative_to(directory) for one in directory.rglob("*") if one.is_file()}

    assert files(tmp_path / "built/ingest_assets") == files(tmp_path / "ingest_assets")
