"""Brings a database to the newest schema. In: a connection in a transaction. Imported only when there is something to do."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection

from skep.errors import Unavailable


def scripts() -> ScriptDirectory:
    """Return the steps that lie beside this file."""
    return ScriptDirectory.from_config(_config())


def upgrade(connection: Connection) -> None:
    """Run the missing steps; the caller's transaction makes it all of them or none."""
    present = MigrationContext.configure(connection).get_current_revision()
    if present is not None and present not in {step.revision for step in scripts().walk_revisions()}:
        raise Unavailable(f"its schema, {present}, is of a newer skep; use that version, or another data_dir")
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
