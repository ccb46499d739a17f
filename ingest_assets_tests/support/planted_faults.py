"""Breaks each promise on purpose, in a copy of the package, and shows which tests notice.

    python -m ingest_assets_tests.support.planted_faults docs/planted-faults.md

Belongs here: the faults, each as a change of one line, and the page that says what caught them. Does
not belong here: the tests; a fault that none of them catches ends this with an error.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_PROJECT = Path(__file__).parents[2]
_PROMISES = "ingest_assets_tests/test_promises.py"


@dataclass(frozen=True)
class Fault:
    """A change of the code that breaks a promise.

    Attributes:
        promise: the promise, and what is done wrong.
        module: file below the package.
        line: what stands there now, once; a line or a part of one.
        instead: what stands there in the copy.
        tests: files of tests that are run; the first that fails ends the run.
    """

    promise: str
    module: str
    line: str
    instead: str
    tests: Sequence[str] = (_PROMISES,)


FAULTS = (
    Fault(
        "G1: an object is put under a UUID that was made up in memory",
        "stages/document_object.py",
        '    failpoint("object.storing")\n',
        '    import io, uuid\n'
        '    objects.put_new(f"documents/{uuid.uuid4()}/made up", io.BytesIO(b"x"), size_bytes=1,\n'
        '        sha256="2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",\n'
        '        mime_type="text/plain", metadata={})\n',
    ),
    Fault(
        "G2: two files of one name are taken for one source",
        "store/names.py",
        "sighting_digest(source_uri, size_bytes, source_version)[:DIGEST_LENGTH]",
        "hashlib.sha256(stem.encode()).hexdigest()[:DIGEST_LENGTH]",
    ),
    Fault(
        "G3: what S3 holds is not compared with what was registered",
        "stages/document_object.py",
        "        if digest == document.sha256:\n",
        "        if digest:\n",
        ("ingest_assets_tests/stages",),
    ),
    Fault(
        "G4: an object is written again whether it is there or not",
        "stages/document_object.py",
        "    head = None if is_new else objects.head(document.s3_key)\n",
        "    objects.client.delete_object(Bucket=objects.bucket, Key=document.s3_key)\n"
        "    head = None\n",
    ),
    Fault(
        "G5: a document that has a text is recognised again",
        "stages/document_text.py",
        "            if row is not None and not _is_to_be_read_again(row, document, services):\n",
        "            if False:\n",
    ),
    Fault(
        "G6: a rebuild does not leave out the documents that are there",
        "operations/reconcile/rebuild.py",
        "        done.already_there = connection.execute(text(_FORGET_KNOWN)).rowcount\n",
        "        done.already_there = 0\n",
        (_PROMISES, "ingest_assets_tests/operations/reconcile"),
    ),
    Fault(
        "G7: a dry run removes what it only had to name",
        "operations/reconcile/apply.py",
        "    if yes:\n",
        "    if True:\n",
    ),
    Fault(
        "G8: a file is removed once it is stored",
        "stages/document_object.py",
        '    failpoint("object.stored")\n',
        "    if source.kind != \"s3\":\n        __import__(\"os\").unlink(source.source_uri[7:])\n",
    ),
    Fault(
        "G9: the first bad document stops its run",
        "stages/runner.py",
        "        if isinstance(outcome.error, (ConfigurationError, RunEndedError)):\n",
        "        if outcome.error:\n",
    ),
    Fault(
        "G10: an engine's error is stored as an empty text",
        "stages/document_text.py",
        "    recognition = services.engine.recognise(stored_object(document, services.objects))\n",
        "    try:\n"
        "        recognition = services.engine.recognise(stored_object(document, services.objects))\n"
        "    except Exception:\n"
        '        recognition = Recognition((), "local", "0")\n',
    ),
    Fault(
        "G11: what readers note is not stored",
        "stages/document_text.py",
        "        return sorted(self.recognition.notes, key=lambda note: note.page or 0)\n",
        "        return []\n",
        ("ingest_assets_tests/stages/test_document_text.py",),
    ),
    Fault(
        "G12: the first part of a container is not recorded",
        "stages/parts.py",
        "row for one in found for row in one.rows]",
        "row for one in found for row in one.rows[1:]]",
        ("ingest_assets_tests/stages/test_parts.py",),
    ),
    Fault(
        "G13: what was forgotten is taken in again under another name",
        "stages/document_row.py",
        '    .where(ForgottenDocument.sha256.in_(bindparam("digests")))\n',
        "    .where(ForgottenDocument.sha256.in_(()))\n",
        ("ingest_assets_tests/operations/test_forget.py",),
    ),
)  # fmt: skip


def planted(fault: Fault) -> str:
    """The module's code with the fault in it.

    Raises:
        ValueError: the line does not stand in it once.
    """
    code = (_PROJECT / "ingest_assets" / fault.module).read_text()
    if code.count(fault.line) != 1:
        message = f"{fault.module} does not have this line once: {fault.line}"
        raise ValueError(message)
    return code.replace(fault.line, fault.instead)


def caught_by(fault: Fault) -> str:
    """The first test that fails when the fault is planted.

    Raises:
        ValueError: see `planted`; or no test failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        for name in ("ingest_assets", "ingest_assets_tests", "examples", "docs"):
            shutil.copytree(
                _PROJECT / name, project / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        for name in ("pyproject.toml", "setup.py", "dagster.yaml", "workspace.yaml", "README.md"):
            shutil.copy(_PROJECT / name, project)
        (project / "ingest_assets" / fault.module).write_text(planted(fault))
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-m", "not slow", *fault.tests]
        run = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
        failed = re.search(r"^(?:FAILED|ERROR) (\S+)", run.stdout, re.MULTILINE)
        if failed is None:
            message = f"No test noticed this: {fault.promise}\n{run.stdout[-2000:]}{run.stderr[-2000:]}"
            raise ValueError(message)
        return failed.group(1)


def main(page: Path) -> None:
    """Plant each fault, and write the page."""
    rows = []
    for fault in FAULTS:
        rows.append(f"| {fault.promise} | `{caught_by(fault)}` |")
        print(rows[-1], flush=True)
    page.write_text(
        "# Planted faults\n\nEach promise of [guarantees](guarantees.md) was broken on purpose in a "
        "copy of the package; the first test that failed is named. Made by "
        "`python -m ingest_assets_tests.support.planted_faults docs/planted-faults.md`.\n\n"
        + "\n".join(("| broken promise | caught by |", "| --- | --- |", *rows))
        + "\n"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
