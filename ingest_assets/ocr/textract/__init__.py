"""Amazon Textract: the engine, its calls, waiting for its jobs, and reading its answers.

The rows of jobs are in `store.textract_jobs`.
"""
