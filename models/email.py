"""An email, its recipients, its content, and what happened to it."""

from __future__ import annotations

from enum import StrEnum

from peewee import (
    BigIntegerField,
    BlobField,
    BooleanField,
    CompositeKey,
    IntegerField,
    JSONField,
    SmallIntegerField,
    TextField,
    fn,
)

from models.database import Table
from models.fields import IdField


class State(StrEnum):
    SCHEDULED = "scheduled"
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    RETRY = "retry"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


WAITING = (State.SCHEDULED, State.QUEUED, State.RETRY)
FINAL = (State.SENT, State.FAILED, State.CANCELLED, State.UNKNOWN)


class RecipientState(StrEnum):
    PENDING = "pending"
    SENT = "sent"
    RETRY = "retry"
    FAILED = "failed"
    UNKNOWN = "unknown"
    BOUNCED = "bounced"  # accepted by the server, and later reported as not delivered
    COMPLAINED = "complained"  # delivered, and reported as spam by whoever got it
    SUPPRESSED = "suppressed"  # not tried: the tenant must not send there


ACCEPTED = (RecipientState.SENT, RecipientState.BOUNCED, RecipientState.COMPLAINED)


class OnUnknown(StrEnum):
    RESEND = "resend"
    HOLD = "hold"


class Email(Table):
    """One message submitted for sending. Times are ms since the epoch."""

    id = IdField()  # never reused: a late reply or bounce must not meet another email
    tenant = TextField()  # '' is the service itself
    user = TextField(default="")
    state = TextField()
    priority = SmallIntegerField()
    available_at = BigIntegerField()
    sort_at = BigIntegerField()  # available_at + (priority - 1) x PRIORITY_STEP: the order of the queue
    lane_id = IntegerField()
    smtp_config_id = IntegerField(null=True)  # pinned to it
    carrier_id = IntegerField(null=True)  # the config of the latest claim
    subject = TextField()
    sender = TextField(default="")  # explicit From address; '' takes the config's
    sender_name = TextField(default="")
    message_id = TextField()
    size = IntegerField()  # bytes on the wire, estimated
    recipient_count = IntegerField()  # still to be tried
    tags = JSONField(null=True)
    metadata = JSONField(null=True)
    on_unknown = TextField(default=OnUnknown.RESEND)
    max_retries = IntegerField(null=True)
    expires_at = BigIntegerField(null=True)
    retry_count = IntegerField(default=0)
    lost_count = IntegerField(default=0)  # connections lost after MAIL, in a row
    lease = BigIntegerField(null=True)  # the claim's token; every later write of the claim must match it
    instance_id = IntegerField(null=True)
    claimed_at = BigIntegerField(null=True)
    dot_at = BigIntegerField(null=True)  # set just before the final dot goes out
    charged_minute = IntegerField(null=True)  # the usage bucket that holds this claim's quota
    due_at = BigIntegerField()  # when it was first to go, or was requeued by hand: its age counts from here
    created_at = BigIntegerField()
    updated_at = BigIntegerField()
    sent_at = BigIntegerField(null=True)
    finished_at = BigIntegerField(null=True)
    has_content = BooleanField(default=True)
    error_message = TextField(null=True)
    template_id = IntegerField(null=True)  # what it was made of
    template_version = IntegerField(null=True)

    class Meta:
        table_name = "emails"


Email.add_index(
    Email.lane_id, Email.sort_at, Email.id, where=(Email.state == State.QUEUED), name="emails_queued"
)
Email.add_index(Email.available_at, where=Email.state.in_([State.SCHEDULED, State.RETRY]), name="emails_due")
Email.add_index(
    Email.expires_at,
    where=Email.expires_at.is_null(False) & Email.state.in_([State.SCHEDULED, State.QUEUED, State.RETRY]),
    name="emails_expiring",
)
Email.add_index(Email.instance_id, where=(Email.state == State.SENDING), name="emails_claimed")
Email.add_index(Email.lease, where=Email.lease.is_null(False), name="emails_leased")
Email.add_index(Email.state, Email.id, name="emails_state")
Email.add_index(Email.tenant, Email.id, name="emails_tenant")
Email.add_index(Email.smtp_config_id, where=Email.smtp_config_id.is_null(False), name="emails_pinned")
Email.add_index(
    Email.finished_at, where=(Email.finished_at.is_null(False) & Email.has_content), name="emails_full"
)
Email.add_index(
    Email.finished_at,
    where=(Email.finished_at.is_null(False) & ~Email.has_content),
    name="emails_purged",
)
Email.add_index(Email.template_id, Email.id, where=Email.template_id.is_null(False), name="emails_template")


class Content(Table):
    """What an email says; goes before its email does, by retention or erasure."""

    email_id = IntegerField(primary_key=True)
    html = TextField(null=True)
    text = TextField(null=True)
    reply_to = JSONField(null=True)  # [[name, address], ...]
    headers = JSONField(null=True)  # [[name, value], ...]

    class Meta:
        table_name = "contents"


class Recipient(Table):
    """One envelope address of an email, with its own delivery state."""

    email_id = IntegerField()
    position = IntegerField()
    kind = TextField()  # to, cc or bcc
    name = TextField(default="")
    address = TextField()
    state = TextField(default=RecipientState.PENDING)
    code = IntegerField(null=True)
    reply = TextField(null=True)

    class Meta:
        table_name = "recipients"
        primary_key = CompositeKey("email_id", "position")
        without_rowid = True


Recipient.add_index(fn.lower(Recipient.address), Recipient.email_id, name="recipients_address")


class Tag(Table):
    tenant = TextField()
    tag = TextField()
    email_id = IntegerField()

    class Meta:
        table_name = "tags"
        primary_key = CompositeKey("tenant", "tag", "email_id")
        without_rowid = True


class Blob(Table):
    """Bytes of attachments, once per tenant and content."""

    id = IdField()
    tenant = TextField()
    sha256 = BlobField()
    size = IntegerField()
    data = BlobField()

    class Meta:
        table_name = "blobs"
        indexes = ((("tenant", "sha256"), True),)


class Attachment(Table):
    email_id = IntegerField()
    position = IntegerField()
    filename = TextField()
    content_type = TextField()
    content_id = TextField(null=True)
    blob_id = IntegerField()

    class Meta:
        table_name = "attachments"
        primary_key = CompositeKey("email_id", "position")
        without_rowid = True


Attachment.add_index(Attachment.blob_id, name="attachments_blob")


class Attempt(Table):
    """One try to deliver an email through one SMTP config."""

    id = IdField()
    email_id = IntegerField()
    smtp_config_id = IntegerField()
    instance_id = IntegerField()
    claimed_at = BigIntegerField()
    dot_at = BigIntegerField(null=True)
    finished_at = BigIntegerField()
    stage = TextField()  # how far the dialog came
    outcome = TextField()  # sent, retry, failed, unknown or returned
    blame = TextField()  # nobody, recipient, email or config
    code = IntegerField(null=True)
    reply = TextField(null=True)
    replies = JSONField(null=True)  # per recipient, where they differ: [[address, verdict, reply], ...]

    class Meta:
        table_name = "attempts"


Attempt.add_index(Attempt.email_id, name="attempts_email")


class Event(Table):
    """A line of an email's timeline that neither its row nor its attempts tell."""

    id = IdField()
    email_id = IntegerField()
    at = BigIntegerField()
    type = TextField()
    detail = TextField(default="")

    class Meta:
        table_name = "events"


Event.add_index(Event.email_id, name="events_email")


class Idempotency(Table):
    """The first answer to a request that may be sent again."""

    tenant = TextField()
    endpoint = TextField()
    key = TextField()
    fingerprint = BlobField()
    status = IntegerField()
    answer = TextField()
    created_at = BigIntegerField(index=True)

    class Meta:
        table_name = "idempotency"
        primary_key = CompositeKey("tenant", "endpoint", "key")
        without_rowid = True
