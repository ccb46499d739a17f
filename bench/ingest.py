"""Documents from discovery to text in the database, against a plain script with the same libraries.

    python bench/ingest.py DIRECTORY_OF_PDFS --documents 406

The pipeline is the shipped one: `ingest-assets dev` with embedded services below a temporary
directory, timed from the first row of `document_sources` to the end of the last attempt. The script
works in the same Postgres and S3, one document after the other, and keeps no history.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import boto3
import click
import psycopg2
import pypdfium2


def plain_script(files: list[Path], environment: dict[str, str]) -> float:
    """Seconds for: digest, row, object, text, one document after the other."""
    os.environ.update(environment)
    client = boto3.client("s3")
    connection = psycopg2.connect(environment["INGEST_DATABASE_URL"])
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS bench_documents (document_uuid uuid PRIMARY KEY"
            " DEFAULT gen_random_uuid(), sha256 text, name text, text text)"
        )
    started = time.perf_counter()
    for path in files:
        content = path.read_bytes()
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO bench_documents (sha256, name) VALUES (%s, %s) RETURNING document_uuid",
                (hashlib.sha256(content).hexdigest(), path.name),
            )
            ((document_uuid,),) = cursor.fetchall()
        client.put_object(
            Bucket=environment["INGEST_S3_BUCKET"], Key=f"bench/{document_uuid}", Body=content
        )
        document = pypdfium2.PdfDocument(content)
        text = "\n\n".join(page.get_textpage().get_text_bounded() for page in document)
        document.close()
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "UPDATE bench_documents SET text = %s WHERE document_uuid = %s",
                (text.replace("\x00", ""), document_uuid),
            )
    return time.perf_counter() - started


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "ingest_assets.cli", *words]


def wait_for(log: Path, words: str, process: subprocess.Popen[bytes]) -> None:
    while words not in log.read_text(errors="replace"):
        if process.poll() is not None:
            raise click.ClickException(log.read_text(errors="replace"))
        time.sleep(0.5)


def read_environment(variables: dict[str, str]) -> dict[str, str]:
    """The running stack's variables."""
    lines = subprocess.run(
        [*command("env")], env=variables, check=True, capture_output=True, text=True
    ).stdout
    shell = subprocess.run(
        [
            "/bin/sh",
            "-c",
            f"{lines}\n{sys.executable} -c 'import json, os; print(json.dumps(dict(os.environ)))'",
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    environment: dict[str, str] = json.loads(shell.stdout)
    return environment


@click.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--documents", default=406, show_default=True)
def main(directory: Path, documents: int) -> None:
    """Measure."""
    files = sorted(path for path in directory.iterdir() if path.is_file())[:documents]
    with tempfile.TemporaryDirectory() as temporary:
        input_dir, staging = Path(temporary, "input"), Path(temporary, "staging")
        input_dir.mkdir()
        log = Path(temporary, "log")
        variables = {
            **os.environ,
            "INGEST_DATA_DIR": str(Path(temporary, "data")),
            "INGEST_INPUT_DIR": str(input_dir),
            "INGEST_DAGIT_PORT": "0",
        }
        with log.open("wb") as output:
            process = subprocess.Popen(command("dev"), env=variables, stdout=output, stderr=output)
        try:
            wait_for(log, "Watching", process)
            environment = read_environment(variables)
            script = plain_script(files, environment)
            staging.mkdir()
            for path in files:
                shutil.copy(path, staging)
            staging.rename(input_dir / "documents")
            connection = psycopg2.connect(environment["INGEST_DATABASE_URL"])
            connection.autocommit = True
            cursor = connection.cursor()
            outcomes = 0
            while outcomes < len(files):
                time.sleep(1)
                cursor.execute(
                    "SELECT count(*) FROM ingest.document_progress"
                    " WHERE state NOT IN ('discovered', 'in_progress')"
                )
                ((outcomes,),) = cursor.fetchall()
            cursor.execute(
                "SELECT extract(epoch FROM max(finished_at) - (SELECT min(discovered_at)"
                " FROM ingest.document_sources)) FROM ingest.stage_attempts"
            )
            ((pipeline,),) = cursor.fetchall()
            connection.close()
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
    print(f"{len(files)} documents")
    print(f"plain script  {script:6.1f} s")
    print(f"pipeline      {float(pipeline):6.1f} s   {float(pipeline) / script:.2f} x")


if __name__ == "__main__":
    main()
