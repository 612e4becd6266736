"""The index of the words in letters: FTS5 on SQLite, a `tsvector` column on PostgreSQL.

Both follow the table `letters` by themselves. Not a table of Peewee's, since the two databases have nothing in common here.
"""

from __future__ import annotations

from peewee import Database, SqliteDatabase

INDEXED = 200_000  # characters of a letter's text: PostgreSQL takes no tsvector over 1 MB

_COLUMNS = ("subject", "people", "text")
_NEW = ", ".join(f"new.{name}" for name in _COLUMNS)
_OLD = ", ".join(f"old.{name}" for name in _COLUMNS)
_NAMES = ", ".join(_COLUMNS)
_ADD = f"INSERT INTO words (rowid, {_NAMES}) VALUES (new.id, {_NEW});"
_TAKE_AWAY = f"INSERT INTO words (words, rowid, {_NAMES}) VALUES ('delete', old.id, {_OLD});"

_SQLITE = (
    f"CREATE VIRTUAL TABLE words USING fts5({_NAMES}, content='letters', content_rowid='id',"
    " tokenize='unicode61 remove_diacritics 2', prefix='2 3')",
    f"CREATE TRIGGER letters_added AFTER INSERT ON letters BEGIN {_ADD} END",
    f"CREATE TRIGGER letters_removed AFTER DELETE ON letters BEGIN {_TAKE_AWAY} END",
    f"CREATE TRIGGER letters_changed AFTER UPDATE OF {_NAMES} ON letters BEGIN {_TAKE_AWAY} {_ADD} END",
)
_POSTGRES = (
    "ALTER TABLE letters ADD COLUMN words tsvector GENERATED ALWAYS AS ("
    " setweight(to_tsvector('simple', subject), 'A') || setweight(to_tsvector('simple', people), 'B')"
    f" || setweight(to_tsvector('simple', left(coalesce(text, ''), {INDEXED})), 'C')) STORED",
    "CREATE INDEX letters_words ON letters USING gin (words)",
)


def create(db: Database) -> None:
    """After the table `letters`."""
    for statement in _SQLITE if isinstance(db, SqliteDatabase) else _POSTGRES:
        db.execute_sql(statement)
