"""Document ingestion as a Dagster asset graph: row, object, text, in an order that cannot break."""
