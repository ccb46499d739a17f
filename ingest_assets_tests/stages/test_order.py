"""The order of the stages stands in `stage_names`; what repeats it agrees with it."""

from __future__ import annotations

from ingest_assets.defs.documents import SPECS
from ingest_assets.stage_names import STAGES
from ingest_assets.stages.writer import WORK
from ingest_assets_tests.support.pipeline import Pipeline


def test_the_runner_and_the_assets_know_each_stage() -> None:
    assert tuple(WORK) == STAGES
    assert tuple(spec.key.to_user_string() for spec in SPECS) == STAGES
    upstream = [[found.asset_key.to_user_string() for found in spec.deps] for spec in SPECS]
    assert upstream == [[], *([stage] for stage in STAGES[:-1])]


def test_the_view_says_how_far_a_document_is(pipeline: Pipeline) -> None:
    """One stage a run: after each of them the view names that one, and counts one more."""
    pipeline.put("note.txt", b"Acme, Inc. pays $5.")
    pipeline.requests()
    (key,) = pipeline.instance.get_dynamic_partitions("documents")
    reached, counted = [], []
    for stage in STAGES:
        assert pipeline.run_range(key, key, assets=[stage]).success
        ((name, state, count),) = pipeline.rows(
            "SELECT progress.stage, progress.state, stages.stages"
            " FROM ingest.document_progress AS progress"
            " JOIN ingest.document_stages AS stages USING (document_uuid)"
        )
        reached.append(name)
        counted.append(count)
        assert (state == "completed") == (stage == STAGES[-1])
    assert tuple(reached) == STAGES
    assert counted == [number + 1 for number in range(len(STAGES))]
