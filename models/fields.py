"""The id of a table, which SQLite and PostgreSQL declare differently."""

from __future__ import annotations

from typing import Any

from peewee import SQL, AutoField, NodeList, SqliteDatabase


class IdField(AutoField):
    """Counts up, and is never given twice: a late reply or bounce must not meet another email.

    SQLite gives the highest number again once its row is gone, unless told AUTOINCREMENT.
    """

    def ddl(self, ctx: Any) -> Any:
        column = super().ddl(ctx)
        bound: Any = self.model._meta.database
        if isinstance(getattr(bound, "obj", bound), SqliteDatabase):
            return NodeList((column, SQL("AUTOINCREMENT")))
        return column
