"""People who sign in to the pages, their sessions, and who changed what."""

from __future__ import annotations

from peewee import BigIntegerField, BlobField, IntegerField, JSONField, TextField

from models.database import Table
from models.fields import IdField


class User(Table):
    """Somebody who signs in with a name and a password. Only the password's argon2 hash is kept."""

    id = IdField()
    name = TextField(unique=True)  # in lower case
    role = TextField()
    password_hash = TextField()
    failures = IntegerField(default=0)  # wrong passwords in a row
    locked_until = BigIntegerField(null=True)
    created_at = BigIntegerField()
    last_seen_at = BigIntegerField(null=True)

    class Meta:
        table_name = "users"


class BrowserSession(Table):
    """A signed-in browser. The cookie holds a token, of which only the hash is kept."""

    id = IdField()
    sha256 = BlobField(unique=True)
    subject = TextField(index=True)  # `user:3`, `key:5`, or `master:` and a mark of the master key
    address = TextField(default="")
    agent = TextField(default="")
    created_at = BigIntegerField()
    expires_at = BigIntegerField(index=True)

    class Meta:
        table_name = "browser_sessions"


class AuditEntry(Table):
    """One change that a person, a key or the command line has made to how the relay works."""

    id = IdField()
    at = BigIntegerField()
    actor = TextField()  # as it was called then: keys and people may go
    tenant = TextField(default="")
    address = TextField(default="")  # of the client; '' for the command line
    action = TextField()  # the id of the API's operation where there is one
    target = TextField(default="")
    details = JSONField(null=True)  # what was changed to what; never a secret

    class Meta:
        table_name = "audit_entries"
        indexes = ((("tenant", "id"), False),)
