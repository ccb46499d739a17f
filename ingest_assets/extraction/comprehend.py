"""The engine for production: Amazon Comprehend finds names; rules find dates, amounts, addresses.

Belongs here: batches within the service's limits, what its types are in this project's types, and what
its errors mean. Does not belong here: credentials and region, which are AWS's own variables.

A call takes at most 25 texts of at most 5 KB in UTF-8 each. A text that fails is in the answer's
`ErrorList` while the call succeeds:
https://docs.aws.amazon.com/comprehend/latest/APIReference/API_BatchDetectEntities.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ingest_assets.errors import ConfigurationError, IngestError, PermanentError, TransientError
from ingest_assets.extraction import normal
from ingest_assets.extraction.chunks import Chunk, Chunker
from ingest_assets.extraction.engine import ENTITY_TYPES, EntityEngine, Mention, apart
from ingest_assets.extraction.local import RULES_VERSION, require_few
from ingest_assets.store.aws_faults import AwsFault, Kind, classify

if TYPE_CHECKING:
    from mypy_boto3_comprehend import ComprehendClient
    from mypy_boto3_comprehend.literals import LanguageCodeType

NAME = "comprehend"
_API_VERSION = "2017-11-27"
_TEXTS_A_CALL = 25
# A character takes up to four bytes, so none of these pieces is above 5,000 bytes.
_PIECES = Chunker(characters=1_240, overlap=0)
# Types that the rules find better than Comprehend, or that Comprehend does not know.
_BY_RULE = frozenset(("url", "email", "citation", "money", "percentage", "date", "phone"))
_OWN: Mapping[str, Kind] = {"UnsupportedLanguageException": "refused"}


def version(language: str) -> str:
    """The version of what is found, as far as it is known: Amazon does not name its model's version."""
    return f"Comprehend {_API_VERSION} {language}; {RULES_VERSION}"


class ComprehendEngine:
    """Finds entities by Amazon Comprehend. Thread-safe. An error never makes the rules find names.

    Args:
        region: AWS region; None for that of the environment.
        language: language of the texts, as Comprehend names it.
        rules: the engine that finds by rule; closed with this engine.
    """

    name = NAME

    def __init__(self, region: str | None, language: str, rules: EntityEngine) -> None:
        self.version = version(language)
        self._region = region
        self._language: LanguageCodeType = language  # type: ignore[assignment]
        self._rules = rules

    def extract(self, text: str) -> tuple[Mention, ...]:
        """All mentions; see `EntityEngine`.

        Raises:
            TransientError: `comprehend_unavailable`: throttled beyond boto's retries, or not reached.
            ConfigurationError: `comprehend_refused`: rights, credentials, region, language.
            PermanentError: `comprehend_rejected`, `comprehend_inconsistent`, and those of the rules.
        """
        mentions = [mention for mention in self._rules.extract(text) if mention.entity_type in _BY_RULE]
        pieces = _PIECES.split(text)
        while batch := list(islice(pieces, _TEXTS_A_CALL)):
            mentions += self._detect(text, batch)
            require_few(mentions)
        return tuple(apart(mentions, len(text)))

    def close(self) -> None:
        """Close the connections, and the engine of the rules."""
        if "_client" in vars(self):
            self._client.close()
        self._rules.close()

    @cached_property
    def _client(self) -> ComprehendClient:
        # A session of its own: boto3's default one is not safe between threads, and keeps the first
        # credentials that it found.
        return boto3.session.Session().client(
            "comprehend",
            region_name=self._region,
            config=Config(
                # For errors that pass at once; after others the runner waits and tries again.
                retries={"mode": "standard", "total_max_attempts": 3},
                connect_timeout=10,
                read_timeout=60,
                max_pool_connections=16,
            ),
        )

    def _detect(self, text: str, pieces: Sequence[Chunk]) -> Iterator[Mention]:
        with _typed():
            reply = self._client.batch_detect_entities(
                TextList=[text[piece.start : piece.end] for piece in pieces],
                LanguageCode=self._language,
            )
        if reply["ErrorList"]:
            raise _item_error(reply["ErrorList"][0])
        if sorted(found["Index"] for found in reply["ResultList"]) != list(range(len(pieces))):
            raise _inconsistent("it answered for other texts than it was asked about")
        for found in reply["ResultList"]:
            piece = pieces[found["Index"]]
            for entity in found["Entities"]:
                start = piece.start + entity["BeginOffset"]
                end = piece.start + entity["EndOffset"]
                if end > piece.end or text[start:end] != entity["Text"]:
                    raise _inconsistent(f"{entity['Text']!r} is not where it says")
                yield _mention(entity["Type"], start, end, entity["Text"], entity["Score"])


def _mention(kind: str, start: int, end: int, text: str, score: float) -> Mention:
    entity_type, normalised = _meaning(kind, text)
    return Mention(entity_type, start, end, normalised, min(1.0, max(0.0, score)), NAME)


def _meaning(kind: str, text: str) -> tuple[str, str]:
    """Entity type and normalised value of a mention that Comprehend calls `kind`."""
    plain = normal.plain(text)
    entity_type = kind.lower() if kind.lower() in ENTITY_TYPES else "other"
    if kind == "ORGANIZATION":
        return entity_type, normal.organization(text)
    if kind == "PERSON":
        return entity_type, normal.person(text)
    if kind == "DATE":
        return entity_type, normal.date_value(text) or plain
    if kind == "LOCATION" and (code := normal.jurisdiction(text)):
        return "jurisdiction", code
    if kind == "QUANTITY" and (money := normal.money_value(text)):
        return "money", money
    return entity_type, plain


@contextmanager
def _typed() -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise _ingest_error(classify(error, _OWN)) from error


def _ingest_error(fault: AwsFault) -> IngestError:
    if fault.kind == "refused":
        return _refused(f"refuses: {fault}" if fault.status else f"cannot be asked: {fault.said}")
    if fault.may_pass:
        return _unavailable(f"fails: {fault}" if fault.status else f"is not reached: {fault.said}")
    return _rejected(str(fault))


def _item_error(item: Mapping[str, Any]) -> IngestError:
    code, sentence = item.get("ErrorCode", ""), item.get("ErrorMessage", "")
    if "INTERNAL" in code.upper() or "THROTTL" in code.upper():
        return _unavailable(f"fails on a part of the text: {code}, {sentence}")
    return _rejected(f"a part of the text: {code}, {sentence}")


def _refused(what: str) -> ConfigurationError:
    return ConfigurationError("comprehend_refused", f"Amazon Comprehend {what}.")


def _unavailable(what: str) -> TransientError:
    return TransientError("comprehend_unavailable", f"Amazon Comprehend {what}.")


def _rejected(what: str) -> PermanentError:
    return PermanentError("comprehend_rejected", f"Amazon Comprehend rejects {what}.")


def _inconsistent(what: str) -> PermanentError:
    return PermanentError(
        "comprehend_inconsistent",
        f"Amazon Comprehend's answer does not fit the text: {what}.",
    )
