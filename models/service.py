"""Tables of the service itself: who runs, who may call, what is switched."""

from __future__ import annotations

from peewee import BigIntegerField, BlobField, CompositeKey, IntegerField, JSONField, TextField

from models.database import Table
from models.fields import IdField


class Instance(Table):
    """A process that delivers. It holds an flock on its file for as long as it lives."""

    id = IdField()
    boot_id = TextField()
    lock_name = TextField()
    host = TextField()
    pid = IntegerField()
    started_at = BigIntegerField()
    beat = BigIntegerField(default=0)  # counts up: others watch it move, so that no clock is compared
    folder_id = TextField(null=True)  # of the folder that its lock is in
    beaten_at = BigIntegerField(null=True)  # to be shown; nothing is judged by it
    ended_at = BigIntegerField(null=True)  # given up, though it may still have connections open

    class Meta:
        table_name = "instances"


class Leader(Table):
    """Which instance runs the periodic jobs."""

    name = TextField(primary_key=True)
    instance_id = IntegerField()

    class Meta:
        table_name = "leaders"


class Switch(Table):
    """Settings changed at run time, such as the pause of the whole relay."""

    name = TextField(primary_key=True)
    value = TextField()
    changed_at = BigIntegerField()

    class Meta:
        table_name = "switches"


class ApiKey(Table):
    """A credential of an app. Only its hash is kept."""

    id = IdField()
    tenant = TextField(default="")  # '': a service key
    user = TextField(default="")
    name = TextField()
    prefix = TextField()  # first characters, to tell keys apart
    sha256 = BlobField(unique=True)
    scopes = JSONField()
    rate_limit = IntegerField(null=True)  # requests a minute
    created_at = BigIntegerField()
    last_used_at = BigIntegerField(null=True)
    revoked_at = BigIntegerField(null=True)

    class Meta:
        table_name = "api_keys"


class SandboxMessage(Table):
    """Mail that the sandbox caught."""

    id = IdField()
    at = BigIntegerField()
    mail_from = TextField()
    rcpt_tos = JSONField()
    subject = TextField(default="")
    message_id = TextField(default="")
    size = IntegerField()
    data = BlobField()

    class Meta:
        table_name = "sandbox_messages"


class Total(Table):
    """A count that only grows: of all processes, and kept when what it counted is gone."""

    name = TextField(primary_key=True)
    value = BigIntegerField()

    class Meta:
        table_name = "totals"


class Minute(Table):
    """How often something happened in a minute of the epoch; kept for the charts."""

    minute = IntegerField()
    what = TextField()  # `accepted`, or how an email ended
    number = IntegerField()

    class Meta:
        table_name = "minutes"
        primary_key = CompositeKey("minute", "what")
        without_rowid = True
