"""Instances of daemons on other machines are told apart by where their lock is, and shown with their last beat.

On PostgreSQL, where each change of a row leaves the old one behind, the tables that change with every email are also
swept after a hundredth of them has changed. Its default, a fifth, is a million emails of a long history, and claims
would read their way through what is left of them.
"""

from __future__ import annotations

from peewee import BigIntegerField, Database, SqliteDatabase, TextField
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: Database) -> None:
    migrator.migrate(
        migrator.add_column("instances", "folder_id", TextField(null=True)),
        migrator.add_column("instances", "beaten_at", BigIntegerField(null=True)),
        migrator.add_column("instances", "ended_at", BigIntegerField(null=True)),
    )
    if not isinstance(db, SqliteDatabase):
        for table in ("emails", "recipients"):
            db.execute_sql(f"ALTER TABLE {table} SET (autovacuum_vacuum_scale_factor = 0.01)")
