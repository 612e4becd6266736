"""Stored templates, and which of them an email was made of."""

from __future__ import annotations

from peewee import BigIntegerField, CompositeKey, Database, IntegerField, Model, TextField
from playhouse.migrate import SchemaMigrator

from models.fields import IdField


def up(migrator: SchemaMigrator, db: Database) -> None:
    class Base(Model):
        class Meta:
            database = db
            legacy_table_names = False

    class Template(Base):
        id = IdField()
        tenant = TextField()
        name = TextField()
        description = TextField(default="")
        version = IntegerField()
        created_at = BigIntegerField()
        updated_at = BigIntegerField()

        class Meta:
            table_name = "templates"
            indexes = ((("tenant", "name"), True),)

    class TemplateVersion(Base):
        template_id = IntegerField()
        version = IntegerField()
        subject = TextField()
        html = TextField(null=True)
        text = TextField(null=True)
        css = TextField()
        inlined = TextField(null=True)
        created_at = BigIntegerField()

        class Meta:
            table_name = "template_versions"
            primary_key = CompositeKey("template_id", "version")
            without_rowid = True

    db.create_tables([Template, TemplateVersion])
    migrator.migrate(
        migrator.add_column("emails", "template_id", IntegerField(null=True)),
        migrator.add_column("emails", "template_version", IntegerField(null=True)),
    )

    class Email(Base):
        id = IntegerField()
        template_id = IntegerField(null=True)

        class Meta:
            table_name = "emails"

    Email.add_index(
        Email.template_id, Email.id, where=Email.template_id.is_null(False), name="emails_template"
    )
    for index in Email._meta.fields_to_index():
        db.execute(index)


def down(migrator: SchemaMigrator, db: Database) -> None:
    db.execute_sql("DROP INDEX emails_template")
    for column in ("template_id", "template_version"):
        db.execute_sql(f"ALTER TABLE emails DROP COLUMN {column}")
    for table in ("template_versions", "templates"):
        db.execute_sql(f"DROP TABLE {table}")
