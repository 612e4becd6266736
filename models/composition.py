"""What is being written, what of it belongs into a Sent folder, and whom mail must no longer reach."""

from __future__ import annotations

from enum import StrEnum

from peewee import BigIntegerField, IntegerField, JSONField, TextField

from models.database import Table
from models.fields import IdField


class Draft(Table):
    """An unsent composition of an account's user."""

    id = TextField(primary_key=True)
    tenant = TextField()
    user = TextField()
    account_id = TextField()
    to = JSONField(default=list)
    cc = JSONField(default=list)
    bcc = JSONField(default=list)
    reply_to = TextField(default="")
    subject = TextField(default="")
    text = TextField(null=True)
    html = TextField(null=True)
    in_reply_to = TextField(null=True)  # id of a message here, or a Message-ID
    send_at = BigIntegerField(null=True)
    created_at = BigIntegerField()
    updated_at = BigIntegerField()

    class Meta:
        table_name = "drafts"


Draft.add_index(Draft.account_id, Draft.updated_at, name="drafts_account")
Draft.add_index(Draft.tenant, Draft.user, Draft.updated_at, name="drafts_owner")


class Upload(Table):
    """A file for a draft or for mail to be sent; without either, for a day."""

    id = TextField(primary_key=True)
    tenant = TextField()
    user = TextField()
    draft_id = TextField(null=True)
    position = IntegerField(default=0)
    filename = TextField()
    content_type = TextField()
    content_id = TextField(null=True)
    size = IntegerField()
    blob_id = IntegerField()
    created_at = BigIntegerField()

    class Meta:
        table_name = "uploads"


Upload.add_index(Upload.draft_id, Upload.position, name="uploads_draft")
Upload.add_index(Upload.blob_id, name="uploads_blob")
Upload.add_index(Upload.created_at, where=Upload.draft_id.is_null(), name="uploads_unowned")


class CopyState(StrEnum):
    WAITING = "waiting"  # for the email to be sent, or for the next try
    DONE = "done"
    FAILED = "failed"  # given up


class SentCopy(Table):
    """An email that its account's Sent folder is to hold, once, as soon as it is sent."""

    email_id = IntegerField(primary_key=True)
    account_id = TextField()
    state = TextField(default=CopyState.WAITING)
    next_at = BigIntegerField()  # no try before; while one is under way, when it is taken for dead
    lease = BigIntegerField(null=True)  # token of the try that is under way
    instance_id = IntegerField(null=True)  # of the process that makes it
    tries = IntegerField(default=0)
    uid = BigIntegerField(null=True)  # where the server told it
    error = TextField(null=True)
    created_at = BigIntegerField()
    finished_at = BigIntegerField(null=True)

    class Meta:
        table_name = "sent_copies"


SentCopy.add_index(
    SentCopy.instance_id, where=SentCopy.instance_id.is_null(False), name="sent_copies_instance"
)
SentCopy.add_index(SentCopy.next_at, where=(SentCopy.state == CopyState.WAITING), name="sent_copies_due")


class Suppression(Table):
    """An address that a tenant must not send to."""

    id = IdField()
    tenant = TextField()
    address = TextField()  # in lower case
    reason = TextField()  # hard_bounce, complaint or manual
    detail = TextField(default="")
    email_id = IntegerField(null=True)  # whose report it was
    created_at = BigIntegerField()

    class Meta:
        table_name = "suppressions"
        indexes = ((("tenant", "address"), True),)
