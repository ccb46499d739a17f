"""Whether the bucket and the database agree, in both directions, and what brings them together.

`inventory` looks, `plan` writes down what it saw, `apply` does what it is told of it, `rebuild`
restores rows from the bucket alone. Imports no Dagster.
"""
