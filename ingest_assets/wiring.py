"""Makes the parts that do the work from the settings, for Dagster and the command line alike.

Belongs here: which part is made from which settings. Does not belong here: how long a part lives and
what shares it, which a Dagster resource or a command decides.

Each function imports what it makes when it is called, because the command line imports this module and
has to answer at once.
"""

from __future__ import annotations

import socket
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import boto3
    from botocore.loaders import Loader
    from mypy_boto3_s3 import S3Client

    from ingest_assets.extraction.chunks import Chunker
    from ingest_assets.extraction.engine import EntityEngine
    from ingest_assets.ocr.engine import OcrEngine
    from ingest_assets.ocr.local import LocalEngine
    from ingest_assets.operations.alerts.channels import Channels
    from ingest_assets.operations.alerts.engine import AlertRules
    from ingest_assets.operations.reconcile.inventory import Deep, Inventory
    from ingest_assets.operations.retry_policy import RetryRules
    from ingest_assets.settings import (
        AlertSettings,
        BucketSettings,
        ChunkSettings,
        EntitySettings,
        InboxSettings,
        OcrSettings,
        ReconciliationSettings,
        RetrySettings,
        Settings,
    )
    from ingest_assets.stages.stage import Inbox
    from ingest_assets.store.database import Database
    from ingest_assets.store.object_store import ObjectStore


def database(url: str, connections: int = 5) -> Database:
    """The documents' database; connects when it is first used.

    Args:
        url: INGEST_DATABASE_URL.
        connections: connections that are kept open.

    Raises:
        ConfigurationError: the URL is not that of a Postgres database.
    """
    from ingest_assets.store.database import Database

    return Database(url, connections)


def object_store(settings: BucketSettings) -> ObjectStore:
    """The bucket that holds the documents. Endpoint and credentials come from the environment.

    A call of S3 that nobody answers fails after two minutes at most.
    """
    from ingest_assets.store.object_store import ObjectStore

    session = _session()
    client = _s3_client(settings, session, connect_timeout=5, read_timeout=30, attempts=3)
    return ObjectStore(client, settings.s3_bucket, session.get_credentials())


def probed_object_store(settings: BucketSettings) -> ObjectStore:
    """The same bucket for `ObjectStore.answers`, which is to know within some seconds."""
    from ingest_assets.store.object_store import ObjectStore

    client = _s3_client(settings, _session(), connect_timeout=3, read_timeout=5, attempts=1)
    return ObjectStore(client, settings.s3_bucket)


def inbox(place: str, settings: InboxSettings) -> Inbox:
    """Where documents come from; opens no connection.

    Args:
        place: INGEST_INPUT_DIR as an absolute path, or as `s3://bucket/prefix/`.

    Raises:
        ConfigurationError: `inbox_overlaps`, it is where the pipeline itself writes.
    """
    from ingest_assets.settings import S3Prefix
    from ingest_assets.stages.inbox_directory import Directory
    from ingest_assets.stages.inbox_s3 import S3Inbox

    if not place.startswith("s3://"):
        return Directory(
            Path(place),
            second_look_seconds=settings.second_look_seconds,
            ignore_patterns=settings.ignore_patterns,
        )
    from ingest_assets.store.object_store import ObjectStore

    where = S3Prefix.parse(place)
    # A look has less than a minute in all.
    client = _s3_client(settings, _session(), connect_timeout=5, read_timeout=20, attempts=3)
    return S3Inbox(
        ObjectStore(client, where.bucket),
        where.prefix,
        documents_bucket=settings.s3_bucket,
        ignore_patterns=settings.ignore_patterns,
    )


def _s3_client(
    settings: BucketSettings | InboxSettings,
    session: boto3.session.Session,
    *,
    connect_timeout: int,
    read_timeout: int,
    attempts: int,
) -> S3Client:
    """A client of S3; the timeouts are in seconds, and each attempt has both."""
    from botocore.config import Config

    return session.client(
        "s3",
        region_name=settings.aws_region,
        config=Config(
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            retries={"mode": "standard", "total_max_attempts": attempts},
        ),
    )


def warm_up() -> None:
    """Have botocore make what clients of S3 need, which processes that are forked share.

    Opens no connection, starts no thread, and asks for no credentials.
    """
    _new_session().client(
        "s3",
        region_name="us-east-1",
        aws_access_key_id="none",
        aws_secret_access_key="none",  # noqa: S106
    )
    _spare_sessions.append(_new_session())


# A session that nobody has used. It reads configuration and credentials only when they are asked for.
_spare_sessions: list[boto3.session.Session] = []


def _session() -> boto3.session.Session:
    """A session of its own: boto3's default one is not safe between threads."""
    return _spare_sessions.pop() if _spare_sessions else _new_session()


def _new_session() -> boto3.session.Session:
    import boto3
    import botocore.session

    session = botocore.session.Session()
    session.register_component("data_loader", _service_descriptions())
    return boto3.session.Session(botocore_session=session)


@cache
def _service_descriptions() -> Loader:
    """What describes AWS's services to botocore: it takes 0.16 s of computing to read that of S3."""
    from botocore.loaders import Loader

    class Shared(Loader):
        """Lets each boto3 session add its directory to a copy: the list would grow with each."""

        @property
        def search_paths(self) -> list[str]:
            return list(super().search_paths)

    return Shared()


def local_reader(settings: OcrSettings) -> LocalEngine:
    """The engine that reads documents in processes of this machine; the caller closes it.

    Raises:
        ConfigurationError: `ocr_does_not_start`, `ocr_language_missing`.
    """
    from ingest_assets.ocr.local import LocalEngine
    from ingest_assets.ocr.unpacking import PartLimits
    from ingest_assets.workers.pool import Limits

    return LocalEngine(
        settings.ocr_workers,
        Limits(cpu_seconds=settings.ocr_page_seconds),
        Path(settings.scratch_dir) if settings.scratch_dir else None,
        languages=settings.ocr_languages,
        tessdata_dir=settings.tessdata_dir,
        sandbox=settings.sandbox,
        part_limits=PartLimits(
            settings.parts_per_document, settings.parts_mb_per_document << 20, settings.parts_ratio
        ),
    )


def ocr_engine(
    settings: OcrSettings, database: Callable[[], Database], objects: Callable[[], ObjectStore]
) -> OcrEngine:
    """The engine that INGEST_OCR_ENGINE names; the caller closes it.

    Args:
        database, objects: what makes them, for an engine that needs them.

    Raises:
        ConfigurationError: `ocr_does_not_start`, `ocr_language_missing`, or no AWS region is set for
            Textract.
    """
    reader = local_reader(settings)
    if settings.ocr_engine == "local":
        return reader
    from ingest_assets.ocr.textract.engine import TextractEngine
    from ingest_assets.store.textract_jobs import Quotas, TextractJobs

    try:
        client = _textract(settings)
        quotas = Quotas(
            settings.textract_jobs_in_flight,
            settings.textract_starts_per_second,
            settings.textract_gets_per_second,
        )
        region, price = client.meta.region_name, settings.textract_price_per_page
        return TextractEngine(
            client,
            objects(),
            TextractJobs(database(), region, quotas, price),
            reader,
            documents_at_a_time=settings.textract_jobs_in_flight,
        )
    except BaseException:
        reader.close()
        raise


def ocr_version(settings: OcrSettings) -> str:
    """The version of the engine that INGEST_OCR_ENGINE names, without making it."""
    if settings.ocr_engine == "local":
        from ingest_assets.ocr.local import version

        return version(settings.ocr_languages, settings.tessdata_dir)
    from ingest_assets.ocr.textract.engine import TextractEngine

    return TextractEngine.version


def probe_ocr(settings: OcrSettings, objects: ObjectStore) -> list[str]:
    """Ask Textract, where it is the engine, whether it can be used; the local engine is not started.

    Returns:
        What was found, a sentence each.

    Raises:
        ConfigurationError: the engine cannot be used; the sentence says which setting is wrong.
        TransientError: Textract or S3 does not answer just now.
    """
    from ingest_assets.ocr.languages import find_languages

    languages = find_languages(settings.ocr_languages, settings.tessdata_dir)
    if settings.ocr_engine == "local":
        return [f"Recognition: there are data to recognise {languages.together}."]
    from ingest_assets.ocr.textract.probe import probe

    return probe(_textract(settings), objects)


def _textract(settings: OcrSettings) -> Any:
    from ingest_assets.ocr.textract.calls import textract_client

    return textract_client(settings.aws_region, settings.aws_endpoint_url_textract)


def chunker(settings: ChunkSettings) -> Chunker:
    """What cuts texts into chunks."""
    from ingest_assets.extraction.chunks import Chunker

    return Chunker(settings.chunk_characters, settings.chunk_overlap)


def entity_engine(settings: EntitySettings) -> EntityEngine:
    """The engine that INGEST_ENTITY_ENGINE names; the caller closes it."""
    from ingest_assets.extraction.local import LocalEngine

    rules = LocalEngine(settings.ocr_workers, settings.sandbox)
    if settings.entity_engine == "local":
        return rules
    from ingest_assets.extraction.comprehend import ComprehendEngine

    return ComprehendEngine(settings.aws_region, settings.entity_language, rules)


def entity_engine_version(settings: EntitySettings) -> tuple[str, str]:
    """Name and version of the engine that INGEST_ENTITY_ENGINE names, without making it."""
    from ingest_assets.extraction import comprehend, local

    if settings.entity_engine == "local":
        return local.NAME, local.VERSION
    return comprehend.NAME, comprehend.version(settings.entity_language)


def alert_channels(settings: AlertSettings) -> Channels | None:
    """Where people are told of what needs them; None where INGEST_ALERT_URLS is not set.

    Raises:
        ConfigurationError: `alert_url_wrong`; the sentence holds nothing of the address.
    """
    if not settings.alert_urls and not settings.alert_heartbeat_url:
        return None
    from ingest_assets.operations.alerts.channels import Channels

    urls = (settings.alert_urls, settings.alert_heartbeat_url)
    return Channels(*(url.get_secret_value() if url else "" for url in urls))


def alert_rules(settings: Settings, dagit: str) -> AlertRules:
    """When people are told of what needs them.

    Args:
        dagit: its address, for links.
    """
    from ingest_assets.operations.alerts.engine import AlertRules

    return AlertRules(
        retry_rules(settings),
        settings.alert_stalled_minutes,
        settings.alert_pause_minutes,
        settings.alert_digest_hour,
        dagit,
        f"Machine {socket.gethostname()}, bucket {settings.s3_bucket}.",
    )


def retry_rules(settings: RetrySettings) -> RetryRules:
    """When a document that failed is tried again without being asked."""
    from ingest_assets.operations.retry_policy import RetryRules

    return RetryRules(settings.retry_cool_down_seconds, settings.retry_limit)


def inventory(
    settings: ReconciliationSettings,
    database: Database,
    objects: ObjectStore,
    *,
    deep: Deep | None = None,
    after: str = "",
    seconds: float | None = None,
) -> Inventory:
    """A comparison of bucket and database that has not begun; `Inventory` explains the arguments."""
    from ingest_assets.operations.reconcile.inventory import Inventory

    return Inventory(
        database,
        objects,
        in_flight_seconds=settings.in_flight_seconds,
        deep=deep,
        after=after,
        seconds=seconds,
    )
