"""Keeps a service's state in an SQLite file below STATE_DIR, or in memory when that is not set.

Several replicas on one machine share the file. The statements are small enough to run on the event loop.
"""

import os
import sqlite3
from pathlib import Path
from typing import Any


class Ledger:
    """One database of one service."""

    def __init__(self, name: str, schema: str, directory: str | None = None) -> None:
        directory = os.environ.get("STATE_DIR", "") if directory is None else directory
        if directory:
            Path(directory).mkdir(parents=True, exist_ok=True)
        path = str(Path(directory) / f"{name}.db") if directory else ":memory:"
        self._connection = sqlite3.connect(path, timeout=5.0, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.executescript(schema)

    def write(self, statement: str, *values: Any) -> int:
        """Run one statement that changes rows; return how many it changed."""
        return self._connection.execute(statement, values).rowcount

    def read(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """Run a query; return its rows."""
        return [dict(row) for row in self._connection.execute(statement, values)]

    def one(self, statement: str, *values: Any) -> dict[str, Any] | None:
        """Run a query; return its first row, if any."""
        rows = self.read(statement, *values)
        return rows[0] if rows else None

    def change(self, statement: str, *values: Any) -> dict[str, Any] | None:
        """Run one statement with RETURNING; return the first row it changed, if any."""
        rows = self._connection.execute(statement, values).fetchall()
        return dict(rows[0]) if rows else None

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
