"""What is kept: rows in Postgres (`database`, `models`), bytes in S3 (`object_store`), and the names
of both (`names`). Imports no Dagster.
"""
