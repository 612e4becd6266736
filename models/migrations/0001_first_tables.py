"""The first tables."""

from __future__ import annotations

from peewee import (
    BigIntegerField,
    BlobField,
    BooleanField,
    CompositeKey,
    Database,
    FloatField,
    IntegerField,
    JSONField,
    Model,
    SmallIntegerField,
    TextField,
    fn,
)  # fmt: skip
from playhouse.migrate import SchemaMigrator

from models.fields import IdField


def up(migrator: SchemaMigrator, db: Database) -> None:
    class Base(Model):
        class Meta:
            database = db
            legacy_table_names = False

    class Email(Base):
        id = IdField()
        tenant = TextField()
        user = TextField(default="")
        state = TextField()
        priority = SmallIntegerField()
        available_at = BigIntegerField()
        sort_at = BigIntegerField()
        lane_id = IntegerField()
        smtp_config_id = IntegerField(null=True)
        carrier_id = IntegerField(null=True)
        subject = TextField()
        sender = TextField(default="")
        sender_name = TextField(default="")
        message_id = TextField()
        size = IntegerField()
        recipient_count = IntegerField()
        tags = JSONField(null=True)
        metadata = JSONField(null=True)
        on_unknown = TextField(default="resend")
        max_retries = IntegerField(null=True)
        expires_at = BigIntegerField(null=True)
        retry_count = IntegerField(default=0)
        lost_count = IntegerField(default=0)
        lease = BigIntegerField(null=True)
        instance_id = IntegerField(null=True)
        claimed_at = BigIntegerField(null=True)
        dot_at = BigIntegerField(null=True)
        charged_minute = IntegerField(null=True)
        due_at = BigIntegerField()
        created_at = BigIntegerField()
        updated_at = BigIntegerField()
        sent_at = BigIntegerField(null=True)
        finished_at = BigIntegerField(null=True)
        has_content = BooleanField(default=True)
        error_message = TextField(null=True)

        class Meta:
            table_name = "emails"

    Email.add_index(
        Email.lane_id, Email.sort_at, Email.id, where=(Email.state == "queued"), name="emails_queued"
    )
    Email.add_index(Email.available_at, where=Email.state.in_(["scheduled", "retry"]), name="emails_due")
    Email.add_index(
        Email.expires_at,
        where=Email.expires_at.is_null(False) & Email.state.in_(["scheduled", "queued", "retry"]),
        name="emails_expiring",
    )
    Email.add_index(Email.instance_id, where=(Email.state == "sending"), name="emails_claimed")
    Email.add_index(Email.lease, where=Email.lease.is_null(False), name="emails_leased")
    Email.add_index(Email.state, Email.id, name="emails_state")
    Email.add_index(Email.tenant, Email.id, name="emails_tenant")
    Email.add_index(Email.smtp_config_id, where=Email.smtp_config_id.is_null(False), name="emails_pinned")
    Email.add_index(
        Email.finished_at,
        where=(Email.finished_at.is_null(False) & Email.has_content),
        name="emails_full",
    )
    Email.add_index(
        Email.finished_at,
        where=(Email.finished_at.is_null(False) & ~Email.has_content),
        name="emails_purged",
    )

    class Content(Base):
        email_id = IntegerField(primary_key=True)
        html = TextField(null=True)
        text = TextField(null=True)
        reply_to = JSONField(null=True)
        headers = JSONField(null=True)

        class Meta:
            table_name = "contents"

    class Recipient(Base):
        email_id = IntegerField()
        position = IntegerField()
        kind = TextField()
        name = TextField(default="")
        address = TextField()
        state = TextField(default="pending")
        code = IntegerField(null=True)
        reply = TextField(null=True)

        class Meta:
            table_name = "recipients"
            primary_key = CompositeKey("email_id", "position")
            without_rowid = True

    Recipient.add_index(fn.lower(Recipient.address), Recipient.email_id, name="recipients_address")

    class Tag(Base):
        tenant = TextField()
        tag = TextField()
        email_id = IntegerField()

        class Meta:
            table_name = "tags"
            primary_key = CompositeKey("tenant", "tag", "email_id")
            without_rowid = True

    class Blob(Base):
        id = IdField()
        tenant = TextField()
        sha256 = BlobField()
        size = IntegerField()
        data = BlobField()

        class Meta:
            table_name = "blobs"
            indexes = ((("tenant", "sha256"), True),)

    class Attachment(Base):
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

    class Attempt(Base):
        id = IdField()
        email_id = IntegerField()
        smtp_config_id = IntegerField()
        instance_id = IntegerField()
        claimed_at = BigIntegerField()
        dot_at = BigIntegerField(null=True)
        finished_at = BigIntegerField()
        stage = TextField()
        outcome = TextField()
        blame = TextField()
        code = IntegerField(null=True)
        reply = TextField(null=True)
        replies = JSONField(null=True)

        class Meta:
            table_name = "attempts"

    Attempt.add_index(Attempt.email_id, name="attempts_email")

    class Event(Base):
        id = IdField()
        email_id = IntegerField()
        at = BigIntegerField()
        type = TextField()
        detail = TextField(default="")

        class Meta:
            table_name = "events"

    Event.add_index(Event.email_id, name="events_email")

    class Idempotency(Base):
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

    class SmtpConfig(Base):
        id = IdField()
        tenant = TextField()
        name = TextField()
        email_address = TextField()
        display_name = TextField(default="")
        smtp_host = TextField()
        smtp_port = IntegerField()
        username = TextField(null=True)
        password = TextField(null=True)
        use_tls = BooleanField(default=True)
        use_ssl = BooleanField(default=False)
        verify_tls = BooleanField(default=True)
        active = BooleanField(default=True)
        hourly_limit = IntegerField(default=0)
        daily_limit = IntegerField(default=0)
        limit_unit = TextField(default="messages")
        max_connections = IntegerField(default=5)
        max_messages_per_connection = IntegerField(default=100)
        weight = IntegerField(default=1)
        from_domains = JSONField(default=list)
        allow_any_sender = BooleanField(default=False)
        shared = BooleanField(default=False)
        sandbox = BooleanField(default=False)
        created_at = BigIntegerField()
        updated_at = BigIntegerField()

        class Meta:
            table_name = "smtp_configs"
            indexes = ((("tenant", "name"), True),)

    class Health(Base):
        smtp_config_id = IntegerField(primary_key=True)
        paused = BooleanField(default=False)
        pause_until = BigIntegerField(null=True)
        pause_reason = TextField(null=True)
        failures = IntegerField(default=0)
        open_until = BigIntegerField(null=True)
        open_reason = TextField(null=True)
        probe_instance = IntegerField(null=True)
        window = FloatField(default=2.0)
        grow_at = BigIntegerField(null=True)
        last_sent = BigIntegerField(null=True)
        last_error = TextField(null=True)
        last_error_at = BigIntegerField(null=True)

        class Meta:
            table_name = "health"

    class Slot(Base):
        smtp_config_id = IntegerField()
        instance_id = IntegerField()
        connections = IntegerField()

        class Meta:
            table_name = "slots"
            primary_key = CompositeKey("smtp_config_id", "instance_id")
            without_rowid = True

    class Usage(Base):
        smtp_config_id = IntegerField()
        minute = IntegerField()
        messages = IntegerField()
        recipients = IntegerField()

        class Meta:
            table_name = "usage"
            primary_key = CompositeKey("smtp_config_id", "minute")
            without_rowid = True

    class Lane(Base):
        id = IdField()
        tenant = TextField()
        smtp_config_id = IntegerField(default=0)
        sender = TextField(default="")

        class Meta:
            table_name = "lanes"
            indexes = ((("tenant", "smtp_config_id", "sender"), True),)

    class Route(Base):
        smtp_config_id = IntegerField()
        lane_id = IntegerField()

        class Meta:
            table_name = "routes"
            primary_key = CompositeKey("smtp_config_id", "lane_id")
            without_rowid = True

    Route.add_index(Route.lane_id, name="routes_lane")

    class Instance(Base):
        id = IdField()
        boot_id = TextField()
        lock_name = TextField()
        host = TextField()
        pid = IntegerField()
        started_at = BigIntegerField()
        beat = BigIntegerField(default=0)

        class Meta:
            table_name = "instances"

    class Leader(Base):
        name = TextField(primary_key=True)
        instance_id = IntegerField()

        class Meta:
            table_name = "leaders"

    class Switch(Base):
        name = TextField(primary_key=True)
        value = TextField()
        changed_at = BigIntegerField()

        class Meta:
            table_name = "switches"

    class ApiKey(Base):
        id = IdField()
        tenant = TextField(default="")
        user = TextField(default="")
        name = TextField()
        prefix = TextField()
        sha256 = BlobField(unique=True)
        scopes = JSONField()
        rate_limit = IntegerField(null=True)
        created_at = BigIntegerField()
        last_used_at = BigIntegerField(null=True)
        revoked_at = BigIntegerField(null=True)

        class Meta:
            table_name = "api_keys"

    class SandboxMessage(Base):
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

    db.create_tables(
        [
            Email,
            Content,
            Recipient,
            Tag,
            Blob,
            Attachment,
            Attempt,
            Event,
            Idempotency,
            SmtpConfig,
            Health,
            Slot,
            Usage,
            Lane,
            Route,
            Instance,
            Leader,
            Switch,
            ApiKey,
            SandboxMessage,
        ]
    )
