"""The schema of new databases is the one that the steps lead to."""

import re

from sqlalchemy import Connection, create_engine, text

from skep.store.migrations.schema import HEAD, SCHEMA
from skep.store.migrations.upgrade import scripts, upgrade


def content(connection: Connection) -> dict[str, tuple[str, list[tuple[object, ...]]]]:
    """Return each table's definition and rows."""
    tables = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'table'")).all()
    return {
        name: (
            re.sub(r"\s*([(),])\s*", r"\1", " ".join(sql.split())).lower(),
            [tuple(row) for row in connection.execute(text(f"SELECT * FROM {name}"))],
        )
        for name, sql in tables
    }


def test_the_head_that_start_up_knows_is_the_last_step() -> None:
    assert scripts().get_current_head() == HEAD


def test_a_new_database_is_like_one_that_went_through_every_step() -> None:
    with create_engine("sqlite://").connect() as stepped, create_engine("sqlite://").connect() as new:
        upgrade(stepped)
        for statement in SCHEMA:
            new.exec_driver_sql(statement)
        assert content(new) == content(stepped)
