"""Names: any file has a partition key and an S3 key that every tool downstream bears."""

from __future__ import annotations

import os
import re
from urllib.parse import unquote

from hypothesis import given
from hypothesis import strategies as st

from ingest_assets.store.names import (
    display_name,
    file_uri,
    metadata_value,
    object_name,
    partition_key,
    path_of,
)

file_names = (
    st.binary(min_size=1, max_size=255)
    .filter(lambda name: not {0, 47} & set(name) and name not in (b".", b".."))
    .map(os.fsdecode)
)


@given(file_names, st.integers(0), st.integers(0))
def test_keys_keep_to_the_alphabet_and_to_the_sighting(name: str, size: int, time: int) -> None:
    uri = file_uri(f"/input/{name}")
    key = partition_key(uri, size, str(time))
    assert re.fullmatch(r"[a-z0-9-]{1,48}-[0-9a-f]{12}", key)
    assert key == partition_key(uri, size, str(time))
    assert key != partition_key(uri, size + 1, str(time))
    assert key != partition_key(uri, size, str(time + 1))


@given(file_names)
def test_a_uri_leads_back_to_the_very_bytes_of_the_path(name: str) -> None:
    path = f"/input/{name}"
    assert path_of(file_uri(path)) == path
    assert file_uri(path).isascii()


@given(file_names)
def test_object_names_are_safe_in_s3(name: str) -> None:
    safe = object_name(name)
    assert re.fullmatch(r"[0-9A-Za-z!\-_.*'()]{1,200}", safe)
    assert safe not in (".", "..")


def test_object_names_keep_what_can_be_kept() -> None:
    assert object_name("Vertrag Nr. 7 (final).pdf") == "Vertrag_Nr._7_(final).pdf"
    assert object_name("Übersicht#1.pdf") == "Ubersicht_1.pdf"
    assert object_name("a" * 300 + ".pdf") == "a" * 196 + ".pdf"


@given(file_names)
def test_metadata_is_ascii_and_comes_back(name: str) -> None:
    value = metadata_value(display_name(name))
    assert value.isascii()
    assert value.isprintable()
    assert unquote(value) == display_name(name)
