"""All code that touches the bytes of a document. Runs in worker processes only.

Documents come from anyone, and the libraries that parse them are written in C: some files abort
them, some make them run for ever, some take all memory. So nothing of this package is imported by
the process that runs the pipeline; it starts `python -m ingest_assets.ocr.sandbox` (see
`ingest_assets.workers.pool`), whose memory and time are limited and whose death costs one document.

Belongs here: formats, rendering, recognition, and the worker's main loop. Does not belong here:
scheduling, the network, secrets, the database.
"""
