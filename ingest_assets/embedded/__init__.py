"""The Postgres and the S3 that start when none is configured, and the command that runs them all.

Belongs here: starting, finding and stopping processes on this machine, and checking the services
that are configured instead. Does not belong here: what is stored in them, and Dagster itself, which
is only ever started as a process.
"""
