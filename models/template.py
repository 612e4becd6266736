"""Stored templates of emails, each with its versions."""

from __future__ import annotations

from peewee import BigIntegerField, CompositeKey, IntegerField, TextField

from models.database import Table
from models.fields import IdField


class Template(Table):
    """What emails are made of, by a name. What it says is in its versions."""

    id = IdField()  # never reused: compiled versions are kept by it, and emails remember it
    tenant = TextField()  # '' is the service itself
    name = TextField()
    description = TextField(default="")
    version = IntegerField()  # the one in force
    created_at = BigIntegerField()
    updated_at = BigIntegerField()

    class Meta:
        table_name = "templates"
        indexes = ((("tenant", "name"), True),)


class TemplateVersion(Table):
    """Never changed once it is there."""

    template_id = IntegerField()
    version = IntegerField()
    subject = TextField()
    html = TextField(null=True)
    text = TextField(null=True)
    css = TextField()  # when its css is inlined: 'none' there is, at 'save', or at 'render'
    inlined = TextField(null=True)  # the html with its css inlined, of those inlined at save
    created_at = BigIntegerField()

    class Meta:
        table_name = "template_versions"
        primary_key = CompositeKey("template_id", "version")
        without_rowid = True
