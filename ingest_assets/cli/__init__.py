"""The command line. Belongs here: options, exit codes, printing. What a command does is a function.

Exit codes: 0 all is well, 1 the answer is no, 2 wrong usage.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from datetime import datetime
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from ingest_assets.errors import ErrorClass, IngestError
from ingest_assets.settings import Settings

if TYPE_CHECKING:
    from ingest_assets.ocr.local import LocalEngine
    from ingest_assets.operations.reconcile.cost import Estimate, Unread
    from ingest_assets.operations.reconcile.inventory import Deep, Inventory
    from ingest_assets.operations.retry_policy import RetryRules
    from ingest_assets.store.database import Database
    from ingest_assets.store.object_store import ObjectStore


class _Commands(click.Group):
    """A group whose commands end with one sentence and exit code 1 on a fault of ours."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except IngestError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(1)


def load_settings() -> Settings:
    """Return the settings; end with a sentence that names the wrong one, but not its value."""
    try:
        return Settings()
    except ValidationError as error:
        for fault in error.errors(include_input=False, include_url=False):
            name = "_".join(str(part) for part in fault["loc"]).upper()
            name = name if name.startswith("AWS_") else f"INGEST_{name}"
            click.echo(f"Error: {name}: {fault['msg']}.", err=True)
        sys.exit(1)


@click.group(cls=_Commands)
@click.version_option(package_name="ingest_assets")
def main() -> None:
    """Documents to database rows, stored objects and text, in that order."""


@main.command()
@click.option("--port", type=click.IntRange(0, 65535), help="Port of Dagit on 127.0.0.1.")
def dev(port: int | None) -> None:
    """Run services, Dagit and daemon; Ctrl-C stops them all."""
    from ingest_assets.embedded.dev import dev as run  # noqa: PLC0415  (heavy)

    sys.exit(run(load_settings(), say=click.echo, port=port, progress=_progress()))


@main.command()
def env() -> None:
    """Print the running stack's variables, for `eval "$(ingest-assets env)"`."""
    from ingest_assets.embedded.environment import stack_environment  # noqa: PLC0415  (heavy)

    for name, value in stack_environment(load_settings()).items():
        click.echo(f"export {name}={shlex.quote(value)}")


@main.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def status(as_json: bool) -> None:
    """Print how far all documents are, how fast it goes, and what failed last."""
    from ingest_assets.operations.status import read_status, report  # noqa: PLC0415  (heavy)

    found = read_status(_database())
    click.echo(json.dumps(found.as_json(), default=str, indent=2) if as_json else report(found))


@main.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--engine", "engine_only", is_flag=True, help="Only whether recognition is set up.")
def verify(as_json: bool, engine_only: bool) -> None:
    """Ask the verification checklist. Exit code 1 where an answer is no."""
    if engine_only:
        _verify_engine(as_json)
    from dagster import DagsterInstance  # noqa: PLC0415  (heavy)

    from ingest_assets.defs.partitions import shown_partitions  # noqa: PLC0415  (heavy)
    from ingest_assets.operations.verification.engine import report, verify  # noqa: PLC0415  (heavy)

    settings = use_running_stack()
    with DagsterInstance.get() as instance:
        found = verify(
            _database(),
            _objects(settings),
            shown_partitions(instance),
            in_flight_seconds=settings.in_flight_seconds,
        )
    click.echo(json.dumps(found.as_json(), default=str, indent=2) if as_json else report(found))
    sys.exit(0 if found.passed else 1)


@main.command()
@click.argument("document")
def why(document: str) -> None:
    """Tell the whole story of one DOCUMENT: UUID, partition key, file name or part of it."""
    from ingest_assets.embedded.environment import dagit_url  # noqa: PLC0415  (heavy)
    from ingest_assets.operations.history import tell  # noqa: PLC0415  (heavy)

    settings = use_running_stack()
    told = tell(_database(), document, dagit_url(settings), _retry_rules(settings))
    click.echo(told.text, err=not told.found)
    sys.exit(0 if told.found else 1)


@main.command(context_settings={"ignore_unknown_options": True})  # -without is a word
@click.argument("words", nargs=-1, required=True)
@click.option("--top", type=click.IntRange(1, 1000), default=10, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def search(words: tuple[str, ...], top: int, as_json: bool) -> None:
    """Search the text: WORDS, "a phrase", or, -without. Exit code 1 where nothing matches."""
    from ingest_assets.operations.search import report, search  # noqa: PLC0415  (heavy)

    found = search(_database(), " ".join(words), top)
    if as_json:
        click.echo(json.dumps(found.as_json(), default=str, indent=2))
    else:
        for line in report(found):
            click.echo(line)
    sys.exit(0 if found.passages else 1)


@main.group()
def reconcile() -> None:
    """Compare bucket and database in both directions, and mend what differs."""


@reconcile.command()
@click.option("--deep", is_flag=True, help="Read stored documents and compare their SHA-256.")
@click.option("--sample", default="1/1", show_default=True, help="With --deep: how many, as 1/50.")
@click.option("--resume-after", default="", metavar="KEY", help="With --deep: read those behind KEY.")
@click.option("--count-pages", is_flag=True, help="Fetch what Textract is to read; count its pages.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="The plan file.")
def plan(deep: bool, sample: str, resume_after: str, count_pages: bool, output: Path | None) -> None:
    """Look, and write nothing but a plan file. Exit code 1 where something is to be mended."""
    from ingest_assets.operations.reconcile.inventory import Deep  # noqa: PLC0415  (heavy)
    from ingest_assets.operations.reconcile.plan import plan_path, report, write_plan  # noqa: PLC0415  (heavy)

    reach = Deep.parse(sample, resume_after) if deep else None
    settings = use_running_stack()
    inventory = _inventory(settings, reach)
    path = output or plan_path(settings.plans_dir)
    try:
        found = write_plan(inventory, path)
    except BaseException:
        if inventory.deep_reached:
            click.echo(f"To go on: --resume-after {shlex.quote(inventory.deep_reached)}", err=True)
        raise
    for line in report(inventory):
        click.echo(line)
    if settings.ocr_engine == "textract":
        from ingest_assets.operations.reconcile.cost import orphaned, unread  # noqa: PLC0415  (heavy)

        waiting = chain(unread(_database()), orphaned(found.findings("orphan")))
        click.echo(f"Textract: {_estimate(waiting, settings, count_pages)}.")
    click.echo(f"Plan: {path}")
    sys.exit(0 if inventory.is_clean else 1)


@reconcile.command("import-stuck")
@click.argument("table", metavar="SCHEMA.TABLE")
def import_stuck_rows(table: str) -> None:
    """Record documents that a TABLE of the earlier pipeline calls N/A_START_FAILURE; add partitions."""
    from dagster import DagsterInstance  # noqa: PLC0415  (heavy)

    from ingest_assets.defs.inventory import import_stuck  # noqa: PLC0415  (heavy)

    settings = use_running_stack()
    batch = settings.max_documents_per_run
    with DagsterInstance.get() as instance:
        adopted = import_stuck(instance, _database(), _objects(settings), table, batch)
    for one in adopted.registered.left:
        click.echo(f"{one.key}: {one.detail}")
    click.echo(f"{adopted}.")
    sys.exit(1 if adopted.registered.left else 0)


@reconcile.command("apply")
@click.argument("plan_file", required=False, type=click.Path(exists=True, path_type=Path))
@click.option("--register", "to_register", is_flag=True, help="Record orphans; add partitions.")
@click.option("--restore-lost", "to_restore", is_flag=True, help="Upload lost objects again.")
@click.option("--delete-adopted", "to_delete", is_flag=True, help="Remove originals of copies.")
@click.option("--yes", is_flag=True, help="With --delete-adopted: do it, do not only say it.")
def apply_plan(
    plan_file: Path | None, to_register: bool, to_restore: bool, to_delete: bool, yes: bool
) -> None:
    """Do what the flags name, and nothing else. Without PLAN_FILE, a plan is made first."""
    from dagster import DagsterInstance  # noqa: PLC0415  (heavy)

    from ingest_assets.defs.inventory import adopt  # noqa: PLC0415  (heavy)
    from ingest_assets.operations.reconcile.apply import Done, delete_adopted, restore_lost  # noqa: PLC0415  (heavy)
    from ingest_assets.operations.reconcile.plan import plan_path, read_plan, write_plan  # noqa: PLC0415  (heavy)

    if not (to_register or to_restore or to_delete):
        raise click.UsageError("Say what to do: --register, --restore-lost or --delete-adopted.")
    if to_delete and plan_file is None:
        raise click.UsageError("--delete-adopted needs a plan file that somebody has read.")
    settings = use_running_stack()
    database, objects = _database(), _objects(settings)
    found = (
        read_plan(plan_file)
        if plan_file
        else write_plan(_inventory(settings), plan_path(settings.plans_dir))
    )
    found.require_bucket(objects.bucket)
    done: list[Done] = []
    if to_register:
        with DagsterInstance.get() as instance:
            orphans = found.findings("orphan")
            batch = settings.max_documents_per_run
            adopted = adopt(instance, database, objects, orphans, batch)
        click.echo(f"{adopted}.")
        done += adopted.registered.left
    if to_restore:
        lost = found.findings("lost")
        done += restore_lost(database, objects, settings.input_dir, lost)
    if to_delete:
        done += delete_adopted(database, objects, found.findings("adopted"), yes=yes)
    for one in done:
        click.echo(f"{one.key}: {one.detail}")
    sys.exit(0 if all(one.done for one in done) else 1)


@main.command()
@click.option(
    "--class",
    "error_class",
    type=click.Choice(["transient", "permanent", "configuration"]),
    default="transient",
    show_default=True,
    help="Class of the fault.",
)
@click.option("--stage", help="The stage that failed; any if not given.")
@click.option("--since", type=click.DateTime(), help="Only those that failed then or later.")
@click.option("--dry-run", is_flag=True, help="Only say which they are.")
def retry(error_class: ErrorClass, stage: str | None, since: datetime | None, dry_run: bool) -> None:
    """Try documents that failed again, however often that was done: a backfill in Dagit."""
    from dagster import DagsterInstance  # noqa: PLC0415  (heavy)

    from ingest_assets.operations.retry_policy import chosen, report  # noqa: PLC0415  (heavy)
    from ingest_assets.stage_names import STAGES  # noqa: PLC0415  (heavy)

    if stage is not None and stage not in STAGES:
        raise click.BadParameter(f"{stage!r} is none of {', '.join(STAGES)}.", param_hint="--stage")
    settings = use_running_stack()
    since = since.astimezone() if since else None
    failures = chosen(
        _database(), _retry_rules(settings), error_class=error_class, stage=stage, since=since
    )
    for line in report(failures):
        click.echo(line)
    if failures and settings.ocr_engine == "textract":
        from ingest_assets.operations.reconcile.cost import unread  # noqa: PLC0415  (heavy)

        keys = [failure.partition_key for failure in failures]
        click.echo(f"Textract: at most {_estimate(unread(_database(), keys), settings)}.")
    if not failures or dry_run:
        return
    from ingest_assets.defs.backfills import ON_DEMAND  # noqa: PLC0415  (heavy)
    from ingest_assets.defs.backfills import retry as request  # noqa: PLC0415  (heavy)
    from ingest_assets.embedded.environment import dagit_url  # noqa: PLC0415  (heavy)

    with DagsterInstance.get() as instance:
        backfill_id = request(instance, failures, ON_DEMAND)
    click.echo(f"Backfill: {dagit_url(settings)}/runs/b/{backfill_id}")


@main.command()
@click.option("--deep", is_flag=True, help="Read each object and compare its SHA-256.")
def rebuild_db(deep: bool) -> None:
    """Restore the rows of documents from the bucket alone, with the UUIDs that they had."""
    from dagster import DagsterInstance  # noqa: PLC0415  (heavy)

    from ingest_assets.defs.inventory import restore_rows  # noqa: PLC0415  (heavy)
    from ingest_assets.operations.reconcile.rebuild import report  # noqa: PLC0415  (heavy)

    settings = use_running_stack()
    batch = settings.max_documents_per_run
    with DagsterInstance.get() as instance:
        rebuilt = restore_rows(instance, _database(), _objects(settings), batch, deep=deep)
    for line in report(rebuilt):
        click.echo(line)
    sys.exit(1 if rebuilt.not_restored else 0)


@main.group()
def services() -> None:
    """The embedded Postgres and S3 alone, without Dagster."""


@services.command()
def start() -> None:
    """Start them in the background, and prepare databases and bucket."""
    from ingest_assets.embedded.supervisor import start_services  # noqa: PLC0415  (heavy)

    start_services(load_settings(), click.echo)


@services.command()
def stop() -> None:
    """Stop them and wait until they have ended."""
    from ingest_assets.embedded.supervisor import stop_services  # noqa: PLC0415  (heavy)

    stop_services(load_settings(), click.echo)


def _progress() -> Callable[[], str]:
    """Return what `dev` shows live. Called first when the stack's variables are set."""
    from ingest_assets.operations.status import progress_line, read_status  # noqa: PLC0415  (heavy)
    from ingest_assets.store.database import Database  # noqa: PLC0415  (heavy)

    @cache
    def database() -> Database:
        return Database(os.environ["INGEST_DATABASE_URL"], connections=1)

    def line() -> str:
        try:
            return progress_line(read_status(database()))
        except SQLAlchemyError:
            return "The database does not answer; trying again."

    return line


def _database() -> Database:
    """Return the running stack's database."""
    from ingest_assets.store.database import Database  # noqa: PLC0415  (heavy)

    use_running_stack()
    return Database(os.environ["INGEST_DATABASE_URL"], connections=1)


def _objects(settings: Settings) -> ObjectStore:
    """Return the running stack's bucket."""
    import boto3  # noqa: PLC0415  (heavy)

    from ingest_assets.store.object_store import ObjectStore  # noqa: PLC0415  (heavy)

    return ObjectStore(boto3.client("s3", region_name=settings.aws_region), settings.s3_bucket)


def _verify_engine(as_json: bool) -> NoReturn:
    """Say whether the engine is set up, and end with the exit code."""
    from ingest_assets.ocr.textract.calls import textract_client  # noqa: PLC0415  (heavy)
    from ingest_assets.ocr.textract.probe import probe  # noqa: PLC0415  (heavy)

    settings = use_running_stack()
    found, fault = [], None
    try:
        if settings.ocr_engine == "textract":
            client = textract_client(settings.aws_region, settings.aws_endpoint_url_textract)
            found = probe(client, _objects(settings))
        else:
            with _reader() as reader:
                found = [f"The local engine starts: {reader.version}."]
    except IngestError as error:
        fault = error
    if as_json:
        check = {
            "name": "engine",
            "passed": fault is None,
            "failing": [fault.message] if fault else [],
            "found": found,
            "remedy": fault.remedy if fault else "",
        }
        click.echo(json.dumps({"passed": fault is None, "checks": [check]}, indent=2))
    else:
        for line in found if fault is None else [f"{settings.ocr_engine}: {fault}"]:
            click.echo(line)
    sys.exit(0 if fault is None else 1)


def _estimate(documents: Iterable[Unread], settings: Settings, count: bool = False) -> Estimate:
    """What Textract would cost for documents, their pages counted if that is asked for."""
    from ingest_assets.operations.reconcile.cost import count_pages, estimate  # noqa: PLC0415  (heavy)

    with ExitStack() as stack:
        if count:
            reader = stack.enter_context(_reader(settings.ocr_workers))
            documents = count_pages(documents, _objects(settings), reader, settings.ocr_workers)
        return estimate(documents, _database(), settings.textract_price_per_page)


def _reader(workers: int = 1) -> closing[LocalEngine]:
    """Return the local engine, which ends with the block."""
    from ingest_assets.ocr.local import LocalEngine  # noqa: PLC0415  (heavy)

    return closing(LocalEngine(workers=workers))


def _retry_rules(settings: Settings) -> RetryRules:
    """Return when documents are tried again by themselves."""
    from ingest_assets.operations.retry_policy import RetryRules  # noqa: PLC0415  (heavy)

    return RetryRules(settings.retry_cool_down_seconds, settings.retry_limit)


def _inventory(settings: Settings, deep: Deep | None = None) -> Inventory:
    """Return a look at the running stack's bucket and database that has not begun."""
    from ingest_assets.operations.reconcile.inventory import Inventory  # noqa: PLC0415  (heavy)

    return Inventory(
        _database(), _objects(settings), in_flight_seconds=settings.in_flight_seconds, deep=deep
    )


def use_running_stack() -> Settings:
    """Put the running stack's variables into our environment and return the settings with them.

    Raises:
        ConfigurationError: nothing is running.
    """
    from ingest_assets.embedded.environment import stack_environment  # noqa: PLC0415  (heavy)

    os.environ.update(stack_environment(load_settings()))
    return load_settings()
