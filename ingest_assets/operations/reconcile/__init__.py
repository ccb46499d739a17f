"""Whether the bucket and the database agree, in both directions, and what brings them together.

`inventory` compares them, `plan` writes the differences to a file, `apply` does about them what a
person asks for, `legacy_import` finds uploads by a table of the earlier pipeline, `rebuild` restores
rows from the bucket alone, `cost` estimates what Textract will cost.
"""
