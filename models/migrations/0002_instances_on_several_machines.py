"""Instances of daemons on other machines are told apart by where their lock is, and shown with their last beat."""

from __future__ import annotations

from peewee import BigIntegerField, Database, TextField
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: Database) -> None:
    migrator.migrate(
        migrator.add_column("instances", "folder_id", TextField(null=True)),
        migrator.add_column("instances", "beaten_at", BigIntegerField(null=True)),
        migrator.add_column("instances", "ended_at", BigIntegerField(null=True)),
    )
