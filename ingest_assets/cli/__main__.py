"""`python -m ingest_assets.cli`, for those who have no console script on their PATH."""

from ingest_assets.cli import main

main()
