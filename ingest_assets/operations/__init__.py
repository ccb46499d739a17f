"""What a person does with the pipeline as a whole: ask how far it is, what happened to a document and
whether all is well; search; try again; bring bucket and database together.

Functions here return data. `cli` prints it, `defs` shows it in Dagit.
"""
