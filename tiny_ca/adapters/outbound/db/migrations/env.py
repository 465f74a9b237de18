"""Alembic's environment: the connection and its transaction are the caller's."""

from alembic import context

from tiny_ca.adapters.outbound.db.schema import metadata, version

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=version.name,
)
with context.begin_transaction():
    context.run_migrations()
