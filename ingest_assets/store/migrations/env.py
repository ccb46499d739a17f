"""Alembic's entry: runs the migrations on the connection that `database.migrate` hands over."""

from alembic import context

from ingest_assets.store.models import SCHEMA, Base

connection = context.config.attributes["connection"]
connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
connection.commit()
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    version_table_schema=SCHEMA,
    include_schemas=True,
)
with context.begin_transaction():
    context.run_migrations()
connection.commit()
