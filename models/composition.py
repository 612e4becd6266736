"""What is being written, and whom mail must no longer reach."""

from __future__ import annotations

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
    created_at = BigIntegerField()
    updated_at = BigIntegerField()

    class Meta:
        table_name = "drafts"


Draft.add_index(Draft.account_id, Draft.updated_at, name="drafts_account")


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
