"""Amazon Textract: the engine, its calls, its jobs' waiting, and what it answers.

Imports no Dagster. The rows of jobs are `store.textract_jobs`.
"""
