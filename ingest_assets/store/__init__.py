"""Rows in Postgres (`database`, `models`), bytes in S3 (`object_store`), and their names (`names`)."""
