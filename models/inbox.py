"""What sync has brought: folders, the messages in them, and what those say."""

from __future__ import annotations

from enum import StrEnum

from peewee import BigIntegerField, BlobField, BooleanField, IntegerField, JSONField, TextField

from models.database import Table
from models.fields import IdField


class Role(StrEnum):
    INBOX = "inbox"
    SENT = "sent"
    DRAFTS = "drafts"
    SPAM = "spam"
    TRASH = "trash"
    ARCHIVE = "archive"
    CUSTOM = "custom"


class Folder(Table):
    """A folder of an account. `raw_name`, the server's own bytes, is its key there."""

    id = IdField()
    account_id = TextField()
    raw_name = BlobField()
    name = TextField()  # decoded
    separator = TextField(null=True)
    parent_id = IntegerField(null=True)
    role = TextField(default=Role.CUSTOM)
    role_by_user = BooleanField(default=False)
    is_selectable = BooleanField(default=True)
    mailbox_id = TextField(null=True)  # OBJECTID, RFC 8474
    label = TextField(null=True)  # at Gmail: the label whose messages it shows. It is not synced itself
    is_all_mail = BooleanField(default=False)  # at Gmail: where the messages of the labels are
    uidvalidity = BigIntegerField(null=True)
    uidnext_done = BigIntegerField(default=1)  # all new mail below it is here
    modseq_done = BigIntegerField(default=0)  # all changes up to it are here
    backfill_min_uid = BigIntegerField(default=0)  # older mail is still to come, from below this UID; 0: none
    backfill_floor = BigIntegerField(default=0)  # the oldest UID that is still to come
    listed_uidnext = BigIntegerField(null=True)  # what the server said at the last whole pass of this folder
    listed_modseq = BigIntegerField(null=True)
    listed_messages = BigIntegerField(null=True)
    missed = IntegerField(default=0)  # passes in a row that did not list it
    message_count = IntegerField(default=0)
    unread_count = IntegerField(default=0)
    synced_at = BigIntegerField(null=True)

    class Meta:
        table_name = "folders"
        indexes = ((("account_id", "raw_name"), True),)


class Message(Table):
    """A message in a folder. Two folders may hold the same: each is a row of its own, with its own flags."""

    id = IdField()
    account_id = TextField()
    folder_id = IntegerField()
    uidvalidity = BigIntegerField()
    uid = BigIntegerField()
    letter_id = IntegerField()
    received_at = BigIntegerField()  # INTERNALDATE
    sender = TextField(default="")  # address, to sort by
    flags = JSONField(default=list)  # as the server has them, sorted, without \\Recent
    is_read = BooleanField(default=False)
    is_starred = BooleanField(default=False)
    labels = JSONField(
        null=True
    )  # Gmail's, sorted; its own begin with a backslash. None: the server has none
    view_of = IntegerField(
        null=True
    )  # the message that this row shows under a label; its flags and UID are the same
    modseq = BigIntegerField(default=0)
    gone_at = BigIntegerField(
        null=True
    )  # no longer on the server; kept for one pass, should it turn up elsewhere
    created_at = BigIntegerField()
    updated_at = BigIntegerField()

    class Meta:
        table_name = "messages"
        indexes = ((("folder_id", "uidvalidity", "uid"), True),)


Message.add_index(
    Message.folder_id, Message.received_at, Message.id, Message.is_read,
    where=Message.gone_at.is_null(), name="messages_newest",
)  # fmt: skip
Message.add_index(
    Message.folder_id, Message.sender, Message.id, Message.is_read,
    where=Message.gone_at.is_null(), name="messages_sender",
)  # fmt: skip
Message.add_index(
    Message.folder_id, Message.received_at, Message.id,
    where=(Message.gone_at.is_null() & ~Message.is_read), name="messages_unread",
)  # fmt: skip
Message.add_index(
    Message.letter_id, Message.received_at, Message.id, Message.folder_id, Message.gone_at, Message.view_of,
    name="messages_letter",
)  # fmt: skip
Message.add_index(Message.account_id, where=Message.gone_at.is_null(False), name="messages_gone")
Message.add_index(Message.view_of, where=Message.view_of.is_null(False), name="messages_views")


class Letter(Table):
    """What a message says, once for all its copies where the server can tell that they are copies."""

    id = IdField()
    account_id = TextField()
    server_id = TextField(null=True)  # EMAILID, X-GM-MSGID or a UIDL: the same for each copy
    thread_id = TextField(null=True)  # THREADID or X-GM-THRID
    conversation_id = IntegerField(null=True)  # the id of the first letter of its thread
    message_id = TextField(default="")  # by its sender: neither unique nor to be trusted
    in_reply_to = TextField(default="")
    refs = TextField(default="")  # References, separated by spaces
    subject = TextField(default="")
    base_subject = TextField(default="")  # RFC 5256 2.1
    sender = JSONField(null=True)  # [name, address]
    recipients = JSONField(
        default=dict
    )  # {"to": [[name, address], ...], "cc": ..., "bcc": ..., "reply_to": ...}
    sent_at = BigIntegerField(null=True)  # Date
    received_at = BigIntegerField()
    size = BigIntegerField(default=0)
    preview = TextField(default="")
    people = TextField(default="")  # names and addresses, to be searched
    has_body = BooleanField(default=False)  # text and html have come
    text = TextField(null=True)  # derived from the html where it came without one
    html = TextField(null=True)  # as it came; made safe when it is shown
    headers = TextField(null=True)  # as they came, unfolded by whoever reads them
    email_id = IntegerField(null=True)  # the email of ours that it reports on, answers or is the copy of
    created_at = BigIntegerField()

    class Meta:
        table_name = "letters"


Letter.add_index(Letter.account_id, Letter.message_id, name="letters_message_id")
Letter.add_index(
    Letter.account_id, Letter.server_id, where=Letter.server_id.is_null(False), name="letters_server_id"
)
Letter.add_index(Letter.conversation_id, name="letters_conversation")
Letter.add_index(Letter.account_id, Letter.id, where=~Letter.has_body, name="letters_bodiless")


class ThreadKey(Table):
    """A hash of what holds a thread together (see services/inbox/threads.py), and one of the letters that name it."""

    key = IntegerField(primary_key=True)
    letter_id = IntegerField()

    class Meta:
        table_name = "thread_keys"


class Part(Table):
    """An attachment or inline image of a letter. Its bytes stay on the server until they are asked for."""

    id = IdField()
    letter_id = IntegerField()
    section = TextField()  # as in BODY[2.1]
    filename = TextField(default="")
    mime_type = TextField(default="application/octet-stream")
    encoding = TextField(default="7bit")
    size = BigIntegerField(default=0)  # bytes on the wire, as encoded
    content_id = TextField(null=True)
    is_inline = BooleanField(default=False)

    class Meta:
        table_name = "parts"


Part.add_index(Part.letter_id, name="parts_letter")


class Quarantined(Table):
    """A message that could not be read. It holds up nobody, and is tried again when a full sync is asked for."""

    id = IdField()
    account_id = TextField()
    folder_id = IntegerField()
    uidvalidity = BigIntegerField()
    uid = BigIntegerField()
    reason = TextField()
    created_at = BigIntegerField()

    class Meta:
        table_name = "quarantined"
        indexes = ((("folder_id", "uidvalidity", "uid"), True),)
