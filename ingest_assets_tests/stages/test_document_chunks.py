"""Chunks in the database: places in the stored text, with pages, replaced together."""

from __future__ import annotations

from ingest_assets.defs.resources import ExtractionResource, configured
from ingest_assets.extraction.chunks import Chunker
from ingest_assets.settings import Settings
from ingest_assets_tests.support.documents import pdf
from ingest_assets_tests.support.pipeline import Pipeline

SENTENCES = " ".join(f"Sentence {number} says “naïve” 漢字 things." for number in range(60))


def chunks(pipeline: Pipeline) -> list[object]:
    return pipeline.rows("SELECT * FROM ingest.document_chunks ORDER BY document_uuid, chunk_index")


def test_chunks_reproduce_the_stored_text_and_know_their_pages(pipeline: Pipeline) -> None:
    pipeline.put("note.txt", f"{SENTENCES}\n\n{SENTENCES}".encode())
    pages = [" ".join(f"Page {page}, sentence {n}." for n in range(60)) for page in (1, 2, 3)]
    pipeline.put("agreement.pdf", pdf(*pages))
    (run,) = pipeline.ingest()
    assert run.success
    rows = pipeline.rows("""
        SELECT chunk.text, page_start, page_end, original_file_name,
               substr(whole.text, char_start::int + 1, (char_end - char_start)::int) AS place
        FROM ingest.document_chunks AS chunk JOIN ingest.document_texts AS whole USING (document_uuid)
        JOIN ingest.source_documents USING (document_uuid) ORDER BY chunk_index
    """)
    assert len(rows) > 6
    assert all(row.text == row.place for row in rows)
    for row in rows:
        if row.original_file_name == "agreement.pdf":
            said = [page for page in (1, 2, 3) if f"Page {page}," in row.text]
            assert (row.page_start, row.page_end) == (said[0], said[-1])
        else:
            assert row.page_start == row.page_end == 1


def test_a_second_run_and_a_second_sighting_double_nothing(pipeline: Pipeline) -> None:
    pipeline.put("one.txt", SENTENCES.encode())
    pipeline.put("two.txt", SENTENCES.encode())
    pipeline.put("blank.pdf", pdf(""))
    (request,) = pipeline.requests()
    tables = ("document_chunkings", "document_chunks", "document_extractions", "entity_mentions")

    def stored() -> list[object]:
        return [pipeline.rows(f"SELECT * FROM ingest.{table} ORDER BY 1, 2") for table in tables]

    assert pipeline.launch(request).success
    before = stored()
    assert pipeline.launch(request).success
    assert stored() == before
    assert len(pipeline.rows("SELECT FROM ingest.document_chunkings")) == 2
    assert sorted(pipeline.states().values()) == ["completed", "duplicate", "no_text"]
    assert set(pipeline.partition_states("document_entities").values()) == {"MATERIALIZED"}


def test_another_size_replaces_the_chunks_and_keeps_the_entities(pipeline: Pipeline) -> None:
    pipeline.put("note.txt", f"Acme, Inc. {SENTENCES}".encode())
    pipeline.ingest()
    mentions = pipeline.rows("SELECT * FROM ingest.entity_mentions")
    assert mentions
    before = chunks(pipeline)
    (key,) = pipeline.instance.get_dynamic_partitions("documents")
    settings = Settings(_env_file=None, chunk_characters=300, chunk_overlap=0, ocr_workers=1)
    smaller = configured(ExtractionResource, settings)
    pipeline.defs = pipeline.rebuilt({"extraction": smaller})
    assert pipeline.run_range(key, key, assets=["document_chunks"]).success
    after = chunks(pipeline)
    assert len(after) > len(before)
    assert [row.chunk_index for row in after] == list(range(len(after)))  # type: ignore[attr-defined]
    assert pipeline.rows("SELECT * FROM ingest.entity_mentions") == mentions
    ((chunker,),) = pipeline.rows("SELECT chunker FROM ingest.document_chunkings")
    assert chunker.endswith(Chunker(300, 0).version)
    assert pipeline.states() == {"note.txt": "completed"}
