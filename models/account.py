"""Mail accounts whose mail is synced, what logs in to them, and the runs of their sync."""

from __future__ import annotations

from enum import StrEnum

from peewee import (
    BigIntegerField,
    BooleanField,
    CompositeKey,
    IntegerField,
    JSONField,
    SmallIntegerField,
    TextField,
    fn,
)  # fmt: skip

from models.database import Table


class AccountState(StrEnum):
    ACTIVE = "active"
    NEEDS_CREDENTIALS = "needs_credentials"  # none is stored under its credentialId yet
    NEEDS_REAUTH = "needs_reauth"  # the server refused the login: no further try until it is changed


class TaskState(StrEnum):
    PENDING = "pending"
    STARTED = "started"
    SUCCESS = "success"
    FAILURE = "failure"
    RETRY = "retry"
    CANCELLED = "cancelled"


class Credential(Table):
    """What logs in to an account. Written, never read back by anyone. Its id is its user's choice, so others may have
    the same."""

    id = TextField()
    tenant = TextField()
    user = TextField()
    kind = TextField(default="password")  # or oauth2
    secret = TextField()  # encrypted: the password, or the tokens as JSON
    endpoint = TextField(null=True)  # the server and username that it was first used for: it goes to no other
    created_at = BigIntegerField()
    updated_at = BigIntegerField()
    # Of OAuth 2 alone.
    expires_at = BigIntegerField(null=True)  # the end of the access token, as far as it is known
    renewed_at = BigIntegerField(null=True)  # when we had the access token renewed
    is_renewable = BooleanField(default=False)  # there is a refresh token
    refused = TextField(null=True)  # why the refresh token is of no more use: nobody tries it again
    lease = BigIntegerField(null=True)  # of whoever is having it renewed
    leased_until = BigIntegerField(null=True)

    class Meta:
        table_name = "credentials"
        primary_key = CompositeKey("tenant", "user", "id")


class Account(Table):
    """An inbound mail account of a tenant's user. Times are ms since the epoch."""

    id = TextField(primary_key=True)
    tenant = TextField()
    user = TextField()
    name = TextField()
    email_address = TextField()
    protocol = TextField(default="imap")  # or pop3
    hostname = TextField()
    port = IntegerField()
    encryption = TextField(default="tls")  # implicit TLS; starttls or none
    verify_tls = BooleanField(default=True)
    username = TextField()
    credential_id = TextField()
    smtp_config_id = IntegerField(null=True)  # made from its SMTP settings
    smtp_shares_login = BooleanField(default=False)  # that config logs in by the account's own credential
    sent_copy = TextField(default="auto")  # always, never, or where its provider keeps none by itself
    is_sync_enabled = BooleanField(default=True)
    sync_interval = IntegerField(default=300)  # seconds
    is_enabled = BooleanField(default=True)
    state = TextField(default=AccountState.ACTIVE)
    last_error = TextField(null=True)
    failures = IntegerField(default=0)  # passes that failed, in a row
    next_sync_at = BigIntegerField(default=0)
    last_sync_at = BigIntegerField(null=True)  # the end of the last whole pass
    lease = BigIntegerField(null=True)  # token of the pass that runs; each of its commits must match it
    instance_id = IntegerField(null=True)  # whose pass it is
    full_flags_at = BigIntegerField(
        default=0
    )  # when all flags are compared again, for servers without CONDSTORE
    created_at = BigIntegerField()
    updated_at = BigIntegerField()
    deleted_at = BigIntegerField(null=True)  # hidden at once, purged by retention

    class Meta:
        table_name = "accounts"


Account.add_index(
    Account.tenant, Account.user, fn.lower(Account.email_address),
    unique=True, where=Account.deleted_at.is_null(), name="accounts_owner",
)  # fmt: skip
Account.add_index(Account.next_sync_at, where=Account.deleted_at.is_null(), name="accounts_due")
Account.add_index(Account.credential_id, name="accounts_credential")


class SyncTask(Table):
    """One run of sync, asked for by a person or an app, or by the clock."""

    id = TextField(primary_key=True)
    account_id = TextField()
    state = TextField(default=TaskState.PENDING)
    full = BooleanField(default=False)
    folders = JSONField(null=True)  # ids, names or roles; null: all
    progress = SmallIntegerField(default=0)  # percent
    message = TextField(default="")
    by_folder = JSONField(default=dict)  # name -> [messages that have come, messages to come]
    result = JSONField(null=True)  # counts
    error = TextField(null=True)
    cancel = BooleanField(default=False)  # asked for
    created_at = BigIntegerField()
    started_at = BigIntegerField(null=True)
    finished_at = BigIntegerField(null=True)

    class Meta:
        table_name = "sync_tasks"


SyncTask.add_index(SyncTask.account_id, SyncTask.created_at, name="sync_tasks_account")
SyncTask.add_index(
    SyncTask.account_id, where=SyncTask.finished_at.is_null(), name="sync_tasks_open",
)  # fmt: skip
