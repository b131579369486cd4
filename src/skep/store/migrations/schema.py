"""The newest schema as SQL, for new databases: the migration tool is imported only to change an old one.

A test proves that the steps in `versions/` lead to the same. Must not import anything.
"""

HEAD = "0001"
"""The newest step."""

_TABLES = """
CREATE TABLE alembic_version (
  version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE objects (
  resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, revision BIGINT NOT NULL, document BLOB NOT NULL,
  PRIMARY KEY (resource, namespace, name)
);
CREATE TABLE changes (
  revision INTEGER NOT NULL, resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
  deleted BOOLEAN NOT NULL, created BOOLEAN NOT NULL, document BLOB NOT NULL, PRIMARY KEY (revision)
);
CREATE TABLE compaction (revision BIGINT NOT NULL);
INSERT INTO compaction (revision) VALUES (0);
INSERT INTO alembic_version (version_num) VALUES ('HEAD')
"""
SCHEMA = tuple(_TABLES.replace("'HEAD'", f"'{HEAD}'").split(";"))
