"""What the migration tool runs for every command: the steps, on the connection that `upgrade` put in its settings."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
context.run_migrations()
