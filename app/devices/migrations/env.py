"""Run by Alembic inside the transaction that `Database.migrate` opened."""

from alembic import context

from app.devices.models import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
with context.begin_transaction():
    context.run_migrations()
