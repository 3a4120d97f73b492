"""Alembic's hook: runs the migrations on the connection that `shared.db.migrate` hands over."""

from alembic import context

from shared.db.models import Base

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, transaction_per_migration=True
)
with context.begin_transaction():
    context.run_migrations()
