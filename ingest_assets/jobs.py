"""Jobs: what can be launched by name.

Belongs here: selections of assets with the way they are run. Does not belong here: when they are run
(`sensors`).
"""

from __future__ import annotations

from dagster import AssetSelection, define_asset_job, in_process_executor

from ingest_assets.assets import SPECS

# In one process: the documents of a run share their connections and the engine's processes, and a
# second process would take longer to start than most documents take to finish.
ingest_documents = define_asset_job(
    "ingest_documents",
    selection=AssetSelection.assets(*(spec.key for spec in SPECS)),
    executor_def=in_process_executor,
    description="Takes documents through the whole graph: row, object, text.",
)
