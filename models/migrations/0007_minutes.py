"""What happened in each minute, for the charts."""

from __future__ import annotations

from peewee import BigIntegerField, CompositeKey, Database, IntegerField, Model, TextField
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: Database) -> None:
    class Total(Model):
        name = TextField(primary_key=True)
        value = BigIntegerField()

        class Meta:
            database = db
            table_name = "totals"

    class Minute(Model):
        minute = IntegerField()
        what = TextField()
        number = IntegerField()

        class Meta:
            database = db
            table_name = "minutes"
            primary_key = CompositeKey("minute", "what")
            without_rowid = True

    db.create_tables([Minute])
    (last,) = db.execute_sql("SELECT max(id) FROM emails").fetchone()
    Total.create(name="emails_counted", value=last or 0)


def down(migrator: SchemaMigrator, db: Database) -> None:
    db.execute_sql("DROP TABLE minutes")
    db.execute_sql("DELETE FROM totals WHERE name = 'emails_counted'")
