"""Alembic's entry: it runs on the connection that ``infra.storage.database`` hands over, inside that transaction."""

from alembic import context

from infra.storage.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()
