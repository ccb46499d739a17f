"""What type a file is, judged by its content and never by its name.

Belongs here: the one answer that all parts of the program share. Does not belong here: reading a file's
text. Nothing here parses a format: it looks at a bounded number of bytes at known places, so that it is
safe in the process that runs the pipeline.
"""

from ingest_assets.identification.identify import identify

__all__ = ["identify"]
