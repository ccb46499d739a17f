"""From text to chunks and entities: engines and rules, without a database.

Imports no Dagster and no tables; the stages `document_chunks` and `document_entities` store what is
found here.
"""
