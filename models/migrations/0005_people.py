"""Users, their sessions, and the audit log."""

from __future__ import annotations

from peewee import BigIntegerField, BlobField, Database, IntegerField, JSONField, Model, TextField
from playhouse.migrate import SchemaMigrator

from models.fields import IdField


def up(migrator: SchemaMigrator, db: Database) -> None:
    class Base(Model):
        class Meta:
            database = db
            legacy_table_names = False

    class User(Base):
        id = IdField()
        name = TextField(unique=True)
        role = TextField()
        password_hash = TextField()
        failures = IntegerField(default=0)
        locked_until = BigIntegerField(null=True)
        created_at = BigIntegerField()
        last_seen_at = BigIntegerField(null=True)

        class Meta:
            table_name = "users"

    class BrowserSession(Base):
        id = IdField()
        sha256 = BlobField(unique=True)
        subject = TextField(index=True)
        address = TextField(default="")
        agent = TextField(default="")
        created_at = BigIntegerField()
        expires_at = BigIntegerField(index=True)

        class Meta:
            table_name = "browser_sessions"

    class AuditEntry(Base):
        id = IdField()
        at = BigIntegerField()
        actor = TextField()
        tenant = TextField(default="")
        address = TextField(default="")
        action = TextField()
        target = TextField(default="")
        details = JSONField(null=True)

        class Meta:
            table_name = "audit_entries"
            indexes = ((("tenant", "id"), False),)

    db.create_tables([User, BrowserSession, AuditEntry])


def down(migrator: SchemaMigrator, db: Database) -> None:
    for table in ("users", "browser_sessions", "audit_entries"):
        db.execute_sql(f"DROP TABLE {table}")
