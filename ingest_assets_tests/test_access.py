"""`docs/access.md`: the rights it lists are those that the pipeline uses, no fewer and no more."""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from botocore.client import BaseClient
from sqlalchemy import make_url, text

from ingest_assets.errors import PermanentError
from ingest_assets.operations.reconcile.apply import delete_adopted
from ingest_assets.store import object_store
from ingest_assets.store.database import Database, migrate
from ingest_assets_tests.support.bucket import adopt_all, look, upload
from ingest_assets_tests.support.documents import padded_pdf, picture
from ingest_assets_tests.support.pipeline import Pipeline
from ingest_assets_tests.support.servers import Services

_DOCUMENT = Path(__file__).parent.parent / "docs" / "access.md"
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html and
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
_ACTIONS = {
    "ListObjectsV2": ("s3:ListBucket",),
    "ListMultipartUploads": ("s3:ListBucketMultipartUploads",),
    "HeadObject": ("s3:GetObject",),
    "GetObject": ("s3:GetObject",),
    "PutObject": ("s3:PutObject",),
    "CopyObject": ("s3:PutObject",),
    "CreateMultipartUpload": ("s3:PutObject",),
    "UploadPart": ("s3:PutObject",),
    "UploadPartCopy": ("s3:PutObject",),
    "CompleteMultipartUpload": ("s3:PutObject",),
    "AbortMultipartUpload": ("s3:AbortMultipartUpload",),
    "DeleteObject": ("s3:DeleteObject",),
}


def policy(name: str) -> set[tuple[str, str]]:
    """The actions and resources of a policy in the document; the bucket is `documents-store`."""
    found = re.search(
        rf"<!-- policy: {name} -->\n```json\n(.*?)```", _DOCUMENT.read_text(), flags=re.DOTALL
    )
    assert found
    return {
        (action, statement["Resource"].removeprefix("arn:aws:s3:::documents-store").lstrip("/"))
        for statement in json.loads(found[1])["Statement"]
        for action in statement["Action"]
    }


def allowing(action: str, key: str, rights: set[tuple[str, str]]) -> set[tuple[str, str]]:
    return {right for right in rights if right[0] == action and fnmatch.fnmatchcase(key, right[1])}


@contextmanager
def recorded(bucket: str) -> Iterator[set[tuple[str, str]]]:
    """The action and key of each request that any client of this process makes in the block."""
    seen: set[tuple[str, str]] = set()
    call = BaseClient._make_api_call  # type: ignore[attr-defined]

    def recording(self: Any, operation: str, parameters: dict[str, Any]) -> Any:
        assert parameters["Bucket"] == bucket
        of_bucket = operation.startswith("List")
        seen.update((action, "" if of_bucket else parameters["Key"]) for action in _ACTIONS[operation])
        if source := parameters.get("CopySource"):
            seen.add(("s3:GetObject", source["Key"]))
        return call(self, operation, parameters)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", recording)
        yield seen


def test_the_policies_are_what_the_pipeline_uses(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_store, "PART_BYTES", 5 * 1024**2)
    monkeypatch.setattr(object_store, "COPY_BYTES", 8 * 1024**2)
    monkeypatch.setattr(object_store, "COPY_PART_BYTES", 5 * 1024**2)
    upload(pipeline, "orphan.txt", b"An orphan.")
    upload(pipeline, "large orphan.pdf", padded_pdf("An orphan in parts.", 9))
    pipeline.put("scan.png", picture("A SCAN"))
    pipeline.put("in parts.pdf", padded_pdf("A file in parts.", 6))
    rights, more_rights = policy("pipeline"), policy("delete adopted")
    with recorded(pipeline.objects.bucket) as seen:
        pipeline.ingest()
        adopt_all(pipeline)
        keys = pipeline.instance.get_dynamic_partitions("documents")
        assert pipeline.run_range(keys[0], keys[-1]).success
        aborted(pipeline)
    used = {request: allowing(*request, rights) for request in seen}
    assert [request for request, by in used.items() if not by] == []
    assert set().union(*used.values()) == rights

    _, found = look(pipeline)
    with recorded(pipeline.objects.bucket) as seen:
        done = list(
            delete_adopted(
                pipeline.database,
                pipeline.objects,
                (one for one in found if one.kind == "adopted"),
                yes=True,
            )
        )
    assert len(done) == 2
    assert all(one.done for one in done)
    used = {request: allowing(*request, rights | more_rights) for request in seen}
    assert [request for request, by in used.items() if not by] == []
    assert more_rights <= set().union(*used.values())


def aborted(pipeline: Pipeline) -> None:
    """An upload in parts whose bytes turn out to be others."""
    path = pipeline.put("changed.txt", b"Other bytes than announced.\n" * 300_000)
    with path.open("rb") as file, pytest.raises(PermanentError):
        pipeline.objects.put_new(
            f"documents/{uuid4()}/changed.txt",
            file,
            size_bytes=path.stat().st_size,
            sha256="00" * 32,
            mime_type="text/plain",
            metadata={},
        )


def test_a_role_that_owns_its_database_and_no_more_is_enough(
    services: Services, empty_database_url: str
) -> None:
    admin = Database(empty_database_url, connections=1)
    url = make_url(empty_database_url)
    role, reader = f"owner_{url.database}", f"reader_{url.database}"
    try:
        with admin.engine.begin() as connection:
            connection.execute(text(f"CREATE ROLE {role} LOGIN PASSWORD 'p'"))
            connection.execute(text(f"CREATE ROLE {reader} LOGIN PASSWORD 'p'"))
            connection.execute(text(f"ALTER DATABASE {url.database} OWNER TO {role}"))
        migrate(url.set(username=role, password="p").render_as_string(hide_password=False))
        with admin.engine.begin() as connection:
            for grant in (
                f"CONNECT ON DATABASE {url.database}",
                "USAGE ON SCHEMA ingest",
                "SELECT ON ALL TABLES IN SCHEMA ingest",
            ):
                connection.execute(text(f"GRANT {grant} TO {reader}"))
        reading = Database(
            url.set(username=reader, password="p").render_as_string(hide_password=False), connections=1
        )
        with reading.engine.connect() as connection:
            assert connection.execute(text("SELECT * FROM ingest.document_progress")).all() == []
        reading.close()
    finally:
        with admin.engine.begin() as connection:
            for name in (role, reader):
                connection.execute(text(f"REASSIGN OWNED BY {name} TO CURRENT_USER"))
                connection.execute(text(f"DROP OWNED BY {name}"))
                connection.execute(text(f"DROP ROLE {name}"))
        admin.close()
