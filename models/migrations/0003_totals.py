"""Totals for the metrics."""

from __future__ import annotations

from peewee import BigIntegerField, Database, Model, TextField
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: Database) -> None:
    class Total(Model):
        name = TextField(primary_key=True)
        value = BigIntegerField()

        class Meta:
            database = db
            table_name = "totals"

    db.create_tables([Total])
    # What was tried before is not counted: reading years of it would hold up the start.
    for table in ("attempts", "events"):
        (last,) = db.execute_sql(f"SELECT max(id) FROM {table}").fetchone()
        Total.create(name=f"{table}_counted", value=last or 0)


def down(migrator: SchemaMigrator, db: Database) -> None:
    db.execute_sql("DROP TABLE totals")
