"""The Postgres and the S3 that start where none is configured, and `dev`, which runs all of the stack.

Belongs here: starting, finding and stopping processes on this machine, and checking the services
that are configured instead. Does not belong here: what is stored in them, and importing Dagster, which
this package only starts as a process.
"""
