"""The module that Dagster loads as this project's code location; `workspace.yaml` names it.

Belongs here: nothing more. What the code location holds is `defs.code_location`.
"""

from __future__ import annotations

from ingest_assets.loading import loading

with loading():
    from ingest_assets.defs.code_location import build_defs

    defs = build_defs()

__all__ = ["build_defs", "defs"]
