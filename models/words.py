"""The index of the words in letters: FTS5 on SQLite, a `tsvector` column on PostgreSQL.

Both follow the table `letters` by themselves. No table of Peewee's: the two databases have nothing in common here.
The account is a word among the others, in a form that no text takes: so a search of one account is not slowed down by
what others have.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from peewee import Database, SqliteDatabase

from models.database import database

INDEXED = 200_000  # characters of a letter's text: PostgreSQL takes no tsvector over 1 MB

# PostgreSQL's parser takes addresses, hosts and paths for one word each, and drops what looks like a tag. Accents do
# not count to FTS5, so they must not here.
_BETWEEN = "@.-_/:+<>&=~#%?*\"'\\"
_BETWEEN_QUOTED = "'" + _BETWEEN.replace("'", "''").replace("%", "%%") + "'"
_MARKS = "[\u0300-\u036f]"
_SPACES = str.maketrans(_BETWEEN, " " * len(_BETWEEN))


def plain(text: str) -> str:
    """As PostgreSQL has it before it is parsed."""
    return re.sub(_MARKS, "", unicodedata.normalize("NFD", text)).translate(_SPACES)


def account_word(account_id: str) -> str:
    """As FTS5 has it; `unicode61` takes it for one word."""
    return account_id.encode().hex()


def account_lexeme(account_id: str) -> str:
    """As a `tsvector` has it: no parser makes a word that begins with a space."""
    return f" {account_id}"


_COLUMNS = ("subject", "people", "text")


def _row(which: str) -> str:
    columns = ", ".join(f"{which}.{name}" for name in _COLUMNS[:-1])
    return f"hex({which}.account_id), {columns}, substr({which}.text, 1, {INDEXED})"


_NAMES = ", ".join(("account", *_COLUMNS))
_ADD = f"INSERT INTO words (rowid, {_NAMES}) VALUES (new.id, {_row('new')});"
_TAKE_AWAY = f"INSERT INTO words (words, rowid, {_NAMES}) VALUES ('delete', old.id, {_row('old')});"

_SQLITE = (
    f"CREATE VIRTUAL TABLE words USING fts5({_NAMES}, content='', tokenize='unicode61 remove_diacritics 2')",
    f"CREATE TRIGGER letters_added AFTER INSERT ON letters BEGIN {_ADD} END",
    f"CREATE TRIGGER letters_removed AFTER DELETE ON letters BEGIN {_TAKE_AWAY} END",
    f"CREATE TRIGGER letters_changed AFTER UPDATE OF {', '.join(_COLUMNS)} ON letters BEGIN {_TAKE_AWAY} {_ADD} END",
)


_TEXT = f"subject || ' ' || people || ' ' || left(coalesce(text, ''), {INDEXED})"
# Cut once more: a syllable of Hangul becomes three letters. Of so many, of 4 bytes, a tsvector takes 800 KB at most.
_PLAIN = (
    f"translate(left(regexp_replace(normalize({_TEXT}, NFD), '{_MARKS}', '', 'g'), {INDEXED}),"
    f" {_BETWEEN_QUOTED}, '{' ' * len(_BETWEEN)}')"
)
_POSTGRES = (
    "ALTER TABLE letters ADD COLUMN words tsvector GENERATED ALWAYS AS ("  # % is doubled for the driver
    f"array_to_tsvector(ARRAY[' ' || account_id]) || to_tsvector('simple', {_PLAIN})) STORED",
    "CREATE INDEX letters_words ON letters USING gin (words)",
)


def create(db: Database) -> None:
    """After the table `letters`."""
    bound: Any = db
    for statement in _SQLITE if isinstance(db, SqliteDatabase) else _POSTGRES:
        bound.execute_sql(statement)


def matching(
    account_id: str, terms: Sequence[tuple[Sequence[str], bool, bool]]
) -> tuple[str, str, list[str]]:
    """Messages of an account, by words: what to read FROM (as `m`), the condition, and its parameters.

    Each term: words that stand next to each other, whether the last may go on, whether it must not be there. A word is
    letters and digits; at least one term must be one that has to be there.
    """
    if isinstance(database.obj, SqliteDatabase):
        source = "words w CROSS JOIN messages m INDEXED BY messages_letter ON m.letter_id = w.rowid"
        return source, "w.words MATCH ?", [_fts5(account_id, terms)]
    source = "letters l JOIN messages m ON m.letter_id = l.id"
    condition = "l.words @@ (?::tsquery && to_tsquery('simple', ?))"
    return source, condition, [f"'{account_lexeme(account_id)}'", _tsquery(terms)]


def _fts5(account_id: str, terms: Sequence[tuple[Sequence[str], bool, bool]]) -> str:
    def said(words: Sequence[str], begins: bool) -> str:
        return f'{{{" ".join(_COLUMNS)}}} : "{" ".join(words)}"{" *" if begins else ""}'

    wanted = [f'account : "{account_word(account_id)}"']
    wanted += [said(words, begins) for words, begins, without in terms if not without]
    unwanted = "".join(f" NOT {said(words, begins)}" for words, begins, without in terms if without)
    return f"({' AND '.join(wanted)}){unwanted}"


def _tsquery(terms: Sequence[tuple[Sequence[str], bool, bool]]) -> str:
    def said(words: Sequence[str], begins: bool) -> str:
        quoted = [f"'{word}'" for word in plain(" ".join(words)).split()]
        return f"({' <-> '.join(quoted)}{':*' if begins else ''})"

    return " & ".join(f"{'!' if without else ''}{said(words, begins)}" for words, begins, without in terms)
