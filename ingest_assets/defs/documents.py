"""The asset graph, and the one function that runs documents through it.

Belongs here: the assets, and turning the outcomes of stages into Dagster's events. Does not belong
here: what a stage does (`stages`).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetMaterialization,
    AssetsDefinition,
    AssetSpec,
    BackfillPolicy,
    Failure,
    MetadataValue,
    multi_asset,
)
from structlog.contextvars import bound_contextvars

from ingest_assets.catalogue import outcome_of
from ingest_assets.defs.instance import store_waiting_events
from ingest_assets.defs.outcomes import materializations
from ingest_assets.defs.partitions import DOCUMENTS
from ingest_assets.defs.resources import (
    ExtractionResource,
    InputDirectoryResource,
    ObjectStoreResource,
    OcrEngineResource,
    PostgresResource,
)
from ingest_assets.defs.run_log import package_lines
from ingest_assets.defs.worker_runs import QUEUE_TAG
from ingest_assets.errors import ConfigurationError
from ingest_assets.failpoints import failpoint
from ingest_assets.markdown import table
from ingest_assets.operations.left_out import left_out
from ingest_assets.operations.outcomes import no_documents
from ingest_assets.stage_names import STAGES
from ingest_assets.stages import (
    document_chunks,
    document_entities,
    document_object,
    document_row,
    document_text,
)
from ingest_assets.stages.runner import Outcome, Runner
from ingest_assets.stages.stage import Markdown, PartsOfFile, Result, Services, mark_reported
from ingest_assets.store.database import require_schema
from ingest_assets.text import counted

GROUP = "documents"
# Documents that have a text keep it, except in runs with this tag, which a person gives to a backfill.
# `other-engine` reads those again whose text another engine read than the one that is set now;
# `other-version` also those that another version or configuration of it read.
READ_AGAIN_TAG = "ingest/read_again"
READ_AGAIN: Sequence[Literal["other-engine", "other-version"]] = ("other-engine", "other-version")
# More than there are cores: a document's thread mostly waits for a service or a worker process.
DOCUMENTS_AT_A_TIME = 8
# How many documents the failure of a run names; the run may hold thousands.
_NAMED_FAILURES = 20

SPECS = (
    AssetSpec(
        document_row.NAME,
        description="The database's row of the document: Postgres gives the document its UUID. "
        "What is no document (empty, of an unsupported type, no regular file) is green and says "
        "`rejected` with the reason; a file that was replaced while it was read says `superseded`.",
        kinds={"postgres"},
        code_version=document_row.CODE_VERSION,
    ),
    AssetSpec(
        document_object.NAME,
        deps=[document_row.NAME],
        description="The document's bytes in S3, under its UUID: written once, never overwritten, "
        "and read back before the row says that they are there.",
        kinds={"s3"},
        code_version=document_object.CODE_VERSION,
    ),
    AssetSpec(
        document_text.NAME,
        deps=[document_object.NAME],
        description="The document's text, page by page: its own text layer where that is good, "
        "recognised where it is not. Read from S3. A document without readable text is green and "
        "says `no_text`. What is inside it (attachments, members of archives, embedded files) becomes "
        "partitions of its own.",
        kinds={"postgres", "python"},
        code_version=document_text.CODE_VERSION,
    ),
    AssetSpec(
        document_chunks.NAME,
        deps=[document_text.NAME],
        description="The text in chunks that fit a model for embeddings, each with its place in the "
        "text and its pages, and searchable: `SELECT * FROM ingest.search_chunks('words')`.",
        kinds={"postgres"},
        code_version=document_chunks.CODE_VERSION,
    ),
    AssetSpec(
        document_entities.NAME,
        deps=[document_chunks.NAME],
        description="What the text mentions: organisations, people, jurisdictions, dates, amounts, "
        "addresses, citations. What is the same in several documents is one row of "
        "`ingest.entities`; `ingest.entity_relations` counts what occurs together.",
        kinds={"postgres", "python"},
        code_version=document_entities.CODE_VERSION,
    ),
)


# On the asset itself, and asked by the run that reads: a check that stands alone would be skipped with
# the outputs of that run. The verification checklist asks it again, with the other questions.
LEFT_OUT = AssetCheckSpec(
    "nothing_left_out",
    asset=document_text.NAME,
    description="Whether all that a person sees in the documents was read as text. Warns, and names "
    "the latest documents of which something was left out; their notes say what, where and why.",
)


NO_DOCUMENTS = AssetCheckSpec(
    "files_are_documents",
    asset=document_row.NAME,
    description="Whether all files and parts are documents. Warns, counts those that are none by the "
    "reason (empty, of an unsupported type, no regular file), and names the latest. None is a failure.",
)


def document_assets(
    documents_per_run: int, code_versions: Mapping[str, str] | None = None
) -> AssetsDefinition:
    """The graph of one document, partitioned by document.

    Args:
        documents_per_run: how many documents a backfill puts into one run.
        code_versions: by asset, for those whose version depends on settings and engines. Dagit shows a
            document that another version made as out of date.
    """
    specs = [
        spec.replace_attributes(
            skippable=True,
            partitions_def=DOCUMENTS,
            group_name=GROUP,
            owners=["team:data-engineering"],
            code_version=(code_versions or {}).get(spec.key.to_user_string(), spec.code_version),
        )
        for spec in SPECS
    ]
    versions = {spec.key.to_user_string(): spec.code_version or "" for spec in specs}

    @multi_asset(
        name="documents",
        specs=specs,
        check_specs=[LEFT_OUT, NO_DOCUMENTS],
        can_subset=True,
        backfill_policy=BackfillPolicy.multi_run(documents_per_run),
    )
    def documents(
        context: AssetExecutionContext,
        database: PostgresResource,
        object_store: ObjectStoreResource,
        ocr_engine: OcrEngineResource,
        extraction: ExtractionResource,
        input_files: InputDirectoryResource,
    ) -> Iterator[AssetMaterialization | AssetCheckResult]:
        services = Services(
            database.get(),
            object_store.get(),
            ocr_engine.get(),
            input_files.get(),
            extraction.chunker(),
            extraction.get(),
            input_files.max_file_bytes,
            documents_per_run=input_files.max_documents_per_run,
            read_again=_read_again(context.run.tags.get(READ_AGAIN_TAG)),
            most_inside=PartsOfFile(
                input_files.parts_depth,
                input_files.parts_per_file,
                input_files.parts_mb_per_file << 20,
            ),
        )
        stages = [key.to_user_string() for key in context.selected_asset_keys]
        keys = context.partition_keys
        failed: list[Outcome] = []
        finished: list[str] = []
        require_schema(services.database)
        failpoint("run.started")
        runner = Runner(
            services,
            stages,
            context.run.run_id,
            DOCUMENTS_AT_A_TIME,
            leased=QUEUE_TAG in context.run.tags,
        )
        with package_lines(context.log):
            for outcome in runner.run(keys):
                # The lines about it, and those that Dagster writes of its events, say whose they are.
                with bound_contextvars(**_about(outcome)):
                    error = outcome.error
                    if error is not None and (kind := outcome_of(error.code)):
                        context.log.info("%s: %s", kind, _sentence(outcome))
                        ended = _stages_from(outcome.stage, stages)
                        yield from materializations(outcome.partition_key, kind, error, ended)
                        if SPECS[-1].key.to_user_string() in ended:
                            finished.append(outcome.partition_key)
                    elif outcome.result is None:
                        failed.append(outcome)
                        context.log.error("%s", _sentence(outcome) + outcome.details)
                    else:
                        failpoint("event.yielding")
                        yield _materialization(outcome, outcome.result, versions[outcome.stage])
                        failpoint("event.yielded")
                        if outcome.stage == SPECS[-1].key.to_user_string():
                            finished.append(outcome.partition_key)
        # Before the documents are marked as reported: the sensor launches what is not marked, and what
        # is marked must be in Dagster's event log.
        store_waiting_events(context.instance)
        with services.database.engine.begin() as connection:
            mark_reported(connection, finished)
        if LEFT_OUT.key in context.selected_asset_check_keys:
            yield _left_out(services)
        if NO_DOCUMENTS.key in context.selected_asset_check_keys:
            yield _no_documents(services)
        failpoint("run.ending")
        if failed:
            raise _failure(failed, len(keys))

    return documents


def _read_again(tag: str | None) -> Literal["", "other-engine", "other-version"]:
    if tag is None:
        return ""
    for value in READ_AGAIN:
        if tag == value:
            return value
    raise ConfigurationError(
        "read_again_unknown",
        f"The tag {READ_AGAIN_TAG} says {tag!r}.",
        f"Give the run or backfill one of {', '.join(READ_AGAIN)}, or no such tag.",
    )


def _left_out(services: Services) -> AssetCheckResult:
    with services.database.engine.connect() as connection:
        found = left_out(connection, _NAMED_FAILURES)
    documents = [
        (d.original_file_name, d.first_note, d.notes, d.partition_key, d.document_uuid)
        for d in found.latest
    ]
    return AssetCheckResult(
        asset_key=LEFT_OUT.asset_key,
        check_name=LEFT_OUT.name,
        passed=not found.incomplete,
        severity=AssetCheckSeverity.WARN,
        description=f"Something was left out of the text of {counted(found.incomplete, 'document')}."
        if found.incomplete
        else "All that a person sees in the documents was read as text.",
        metadata={
            "incomplete": found.incomplete,
            "with_notes": found.noted,
            "latest": MetadataValue.md(
                table(("file", "what was left out", "notes", "partition", "document"), documents)
            ),
        },
    )


def _no_documents(services: Services) -> AssetCheckResult:
    with services.database.engine.connect() as connection:
        found = no_documents(connection, _NAMED_FAILURES)
    count = sum(found.by_code.values())
    latest = [
        (one.original_file_name, one.error_code, one.error_message, one.partition_key)
        for one in found.latest
    ]
    return AssetCheckResult(
        asset_key=NO_DOCUMENTS.asset_key,
        check_name=NO_DOCUMENTS.name,
        passed=not count,
        severity=AssetCheckSeverity.WARN,
        description=f"Files and parts that are no documents: {count:,}."
        if count
        else "All files and parts are documents.",
        metadata={
            "no_documents": count,
            "by_reason": MetadataValue.md(table(("reason", "count"), found.by_code.items())),
            "latest": MetadataValue.md(table(("file", "reason", "what it is", "partition"), latest)),
        },
    )


def _stages_from(stage: str, stages: Sequence[str]) -> list[str]:
    """Those of some stages that a document passes from one stage on, in their order."""
    return [name for name in STAGES[STAGES.index(stage) :] if name in stages]


def _about(outcome: Outcome) -> dict[str, str]:
    about = {"partition": outcome.partition_key, "stage": outcome.stage}
    if outcome.document_uuid:
        about["document"] = str(outcome.document_uuid)
    return about


def _materialization(outcome: Outcome, result: Result, code_version: str) -> AssetMaterialization:
    tags = {
        "dagster/data_version": result.data_version,
        "dagster/code_version": result.code_version or code_version,
    }
    for asset, version in result.inputs.items():
        # Without these tags Dagit calls a finished asset out of sync with the asset before it. The
        # pointer to the input's event may be "NULL": the content of a partition never changes.
        tags[f"dagster/input_data_version/{asset}"] = version
        tags[f"dagster/input_event_pointer/{asset}"] = "NULL"
    return AssetMaterialization(
        asset_key=outcome.stage,
        partition=outcome.partition_key,
        metadata={
            name: MetadataValue.md(value) if isinstance(value, Markdown) else value
            for name, value in (*result.details.items(), ("seconds", round(outcome.seconds, 3)))
            if value is not None
        },
        tags=tags,
    )


def _failure(failed: Sequence[Outcome], documents: int) -> Failure:
    """One failure of the run that names documents and reasons.

    Dagster does not retry the run: the sensor `retry_failed` decides by the class of each fault.
    """
    common = next((o for o in failed if isinstance(o.error, ConfigurationError)), None)
    if common:
        headline = (
            f"Stopped: {common.error} This is no document's fault; "
            "the documents that were not begun wait until it is mended."
        )
    else:
        headline = f"{len(failed)} of {documents} documents failed; the others are done."
    named = [_sentence(outcome) for outcome in failed[:_NAMED_FAILURES]]
    more = len(failed) - len(named)
    return Failure(
        description="\n".join([headline, *named, *([f"… and {more} more."] if more else [])]),
        metadata={
            "failed": len(failed),
            "documents": documents,
            "reasons": MetadataValue.json(
                {
                    o.partition_key: {"stage": o.stage, "code": o.error.code, "error": str(o.error)}
                    for o in failed[:_NAMED_FAILURES]
                    if o.error
                }
            ),
        },
        allow_retries=False,
    )


def _sentence(outcome: Outcome) -> str:
    error = outcome.error
    kind = f" ({error.error_class}, {error.code})" if error else ""
    return f"{outcome.partition_key} at {outcome.stage}{kind}: {error}"
