"""The stages that each document goes through, in their order.

Belongs here: names and order. Does not belong here: what a stage does (`stages.writer.WORK`). The view
`document_progress` holds names and order once more, in SQL; a test compares them with these.
"""

from __future__ import annotations

STAGES = (
    "document_row",
    "document_object",
    "document_text",
    "document_chunks",
    "document_entities",
)
