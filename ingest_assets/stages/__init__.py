"""What is done to a document, one module a stage; `runner` takes documents through them.

A stage is a function from a document to a result, with its queries beside it. Imports no Dagster.
"""
