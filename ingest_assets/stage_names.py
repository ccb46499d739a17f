"""The stages that each document goes through, in their order.

Belongs here: names and order, for all who show or ask for stages. Does not belong here: what a stage
does (`stages`), and the view `document_progress`, whose order a test compares with this one.
"""

from __future__ import annotations

STAGES = (
    "document_row",
    "document_object",
    "document_text",
    "document_chunks",
    "document_entities",
)
