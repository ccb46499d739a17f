"""The former place of `ingest_assets.defs.instance`, for instances whose `dagster.yaml` still names it.

Belongs here: nothing more. Goes with the release after 0.2.
"""

from __future__ import annotations

import warnings

from ingest_assets.defs.instance import PooledPostgresStorage, WatchedRunLauncher

__all__ = ["PooledPostgresStorage", "WatchedRunLauncher"]

warnings.warn(
    "dagster.yaml names the module ingest_assets.instance, which the next release no longer has: "
    "write ingest_assets.defs.instance in its place, for `storage` and for `run_launcher`.",
    FutureWarning,
    stacklevel=2,
)
