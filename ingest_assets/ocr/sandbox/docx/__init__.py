"""DOCX: the text that Word shows, read from the XML of the document and of what stands in it.

Belongs here: everything that knows WordprocessingML and DrawingML. Does not belong here: anything that
needs a page layout.
"""

from ingest_assets.ocr.sandbox.docx.document import read_docx

__all__ = ["read_docx"]
