"""Inbound mail: accounts, folders, messages, drafts, and the addresses that mail must not reach.

The words of letters are searched by FTS5 on SQLite, and by a `tsvector` column on PostgreSQL.
"""

from __future__ import annotations

from peewee import (
    BigIntegerField,
    BlobField,
    BooleanField,
    CompositeKey,
    Database,
    IntegerField,
    JSONField,
    Model,
    SmallIntegerField,
    SqliteDatabase,
    TextField,
    fn,
)  # fmt: skip
from playhouse.migrate import SchemaMigrator

from models import words
from models.fields import IdField


def up(migrator: SchemaMigrator, db: Database) -> None:
    class Base(Model):
        class Meta:
            database = db
            legacy_table_names = False

    class Credential(Base):
        id = TextField()
        tenant = TextField()
        user = TextField()
        kind = TextField(default="password")
        secret = TextField()
        endpoint = TextField(null=True)
        created_at = BigIntegerField()
        updated_at = BigIntegerField()
        expires_at = BigIntegerField(null=True)
        renewed_at = BigIntegerField(null=True)
        is_renewable = BooleanField(default=False)
        refused = TextField(null=True)
        lease = BigIntegerField(null=True)
        leased_until = BigIntegerField(null=True)

        class Meta:
            table_name = "credentials"
            primary_key = CompositeKey("tenant", "user", "id")

    class Account(Base):
        id = TextField(primary_key=True)
        tenant = TextField()
        user = TextField()
        name = TextField()
        email_address = TextField()
        protocol = TextField(default="imap")
        hostname = TextField()
        port = IntegerField()
        encryption = TextField(default="tls")
        verify_tls = BooleanField(default=True)
        username = TextField()
        credential_id = TextField()
        smtp_config_id = IntegerField(null=True)
        smtp_shares_login = BooleanField(default=False)
        sent_copy = TextField(default="auto")
        is_sync_enabled = BooleanField(default=True)
        sync_interval = IntegerField(default=300)
        is_enabled = BooleanField(default=True)
        state = TextField(default="active")
        last_error = TextField(null=True)
        failures = IntegerField(default=0)
        next_sync_at = BigIntegerField(default=0)
        last_sync_at = BigIntegerField(null=True)
        lease = BigIntegerField(null=True)
        instance_id = IntegerField(null=True)
        full_flags_at = BigIntegerField(default=0)
        created_at = BigIntegerField()
        updated_at = BigIntegerField()
        deleted_at = BigIntegerField(null=True)

        class Meta:
            table_name = "accounts"

    Account.add_index(
        Account.tenant, Account.user, fn.lower(Account.email_address),
        unique=True, where=Account.deleted_at.is_null(), name="accounts_owner",
    )  # fmt: skip
    Account.add_index(Account.next_sync_at, where=Account.deleted_at.is_null(), name="accounts_due")
    Account.add_index(Account.credential_id, name="accounts_credential")

    class SyncTask(Base):
        id = TextField(primary_key=True)
        account_id = TextField()
        state = TextField(default="pending")
        full = BooleanField(default=False)
        folders = JSONField(null=True)
        progress = SmallIntegerField(default=0)
        message = TextField(default="")
        by_folder = JSONField(default=dict)
        result = JSONField(null=True)
        error = TextField(null=True)
        cancel = BooleanField(default=False)
        created_at = BigIntegerField()
        started_at = BigIntegerField(null=True)
        finished_at = BigIntegerField(null=True)

        class Meta:
            table_name = "sync_tasks"

    SyncTask.add_index(SyncTask.account_id, SyncTask.created_at, name="sync_tasks_account")
    SyncTask.add_index(
        SyncTask.account_id, where=SyncTask.finished_at.is_null(), name="sync_tasks_open",
    )  # fmt: skip

    class Folder(Base):
        id = IdField()
        account_id = TextField()
        raw_name = BlobField()
        name = TextField()
        separator = TextField(null=True)
        parent_id = IntegerField(null=True)
        role = TextField(default="custom")
        role_by_user = BooleanField(default=False)
        is_selectable = BooleanField(default=True)
        mailbox_id = TextField(null=True)
        label = TextField(null=True)
        is_all_mail = BooleanField(default=False)
        uidvalidity = BigIntegerField(null=True)
        uidnext_done = BigIntegerField(default=1)
        modseq_done = BigIntegerField(default=0)
        backfill_min_uid = BigIntegerField(default=0)
        backfill_floor = BigIntegerField(default=0)
        listed_uidnext = BigIntegerField(null=True)
        listed_modseq = BigIntegerField(null=True)
        listed_messages = BigIntegerField(null=True)
        missed = IntegerField(default=0)
        message_count = IntegerField(default=0)
        unread_count = IntegerField(default=0)
        synced_at = BigIntegerField(null=True)

        class Meta:
            table_name = "folders"
            indexes = ((("account_id", "raw_name"), True),)

    class Message(Base):
        id = IdField()
        account_id = TextField()
        folder_id = IntegerField()
        uidvalidity = BigIntegerField()
        uid = BigIntegerField()
        letter_id = IntegerField()
        received_at = BigIntegerField()
        sender = TextField(default="")
        flags = JSONField(default=list)
        is_read = BooleanField(default=False)
        is_starred = BooleanField(default=False)
        labels = JSONField(null=True)
        view_of = IntegerField(null=True)
        modseq = BigIntegerField(default=0)
        gone_at = BigIntegerField(null=True)
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

    class Letter(Base):
        id = IdField()
        account_id = TextField()
        server_id = TextField(null=True)
        thread_id = TextField(null=True)
        conversation_id = IntegerField(null=True)
        message_id = TextField(default="")
        in_reply_to = TextField(default="")
        refs = TextField(default="")
        subject = TextField(default="")
        base_subject = TextField(default="")
        sender = JSONField(null=True)
        recipients = JSONField(default=dict)
        sent_at = BigIntegerField(null=True)
        received_at = BigIntegerField()
        size = BigIntegerField(default=0)
        preview = TextField(default="")
        people = TextField(default="")
        has_body = BooleanField(default=False)
        text = TextField(null=True)
        html = TextField(null=True)
        headers = TextField(null=True)
        email_id = IntegerField(null=True)
        created_at = BigIntegerField()

        class Meta:
            table_name = "letters"

    Letter.add_index(Letter.account_id, Letter.message_id, name="letters_message_id")
    Letter.add_index(
        Letter.account_id, Letter.server_id, where=Letter.server_id.is_null(False), name="letters_server_id"
    )
    Letter.add_index(Letter.conversation_id, name="letters_conversation")
    Letter.add_index(Letter.account_id, Letter.id, where=~Letter.has_body, name="letters_bodiless")

    class ThreadKey(Base):
        key = IntegerField(primary_key=True)
        letter_id = IntegerField()

        class Meta:
            table_name = "thread_keys"

    class Part(Base):
        id = IdField()
        letter_id = IntegerField()
        section = TextField()
        filename = TextField(default="")
        mime_type = TextField(default="application/octet-stream")
        encoding = TextField(default="7bit")
        size = BigIntegerField(default=0)
        content_id = TextField(null=True)
        is_inline = BooleanField(default=False)

        class Meta:
            table_name = "parts"

    Part.add_index(Part.letter_id, name="parts_letter")

    class Quarantined(Base):
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

    class Draft(Base):
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
        in_reply_to = TextField(null=True)
        send_at = BigIntegerField(null=True)
        created_at = BigIntegerField()
        updated_at = BigIntegerField()

        class Meta:
            table_name = "drafts"

    Draft.add_index(Draft.account_id, Draft.updated_at, name="drafts_account")
    Draft.add_index(Draft.tenant, Draft.user, Draft.updated_at, name="drafts_owner")

    class Upload(Base):
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

    class SentCopy(Base):
        email_id = IntegerField(primary_key=True)
        account_id = TextField()
        state = TextField(default="waiting")
        next_at = BigIntegerField()
        lease = BigIntegerField(null=True)
        instance_id = IntegerField(null=True)
        tries = IntegerField(default=0)
        uid = BigIntegerField(null=True)
        error = TextField(null=True)
        created_at = BigIntegerField()
        finished_at = BigIntegerField(null=True)

        class Meta:
            table_name = "sent_copies"

    SentCopy.add_index(
        SentCopy.instance_id, where=SentCopy.instance_id.is_null(False), name="sent_copies_instance"
    )  # fmt: skip
    SentCopy.add_index(SentCopy.next_at, where=(SentCopy.state == "waiting"), name="sent_copies_due")

    class Suppression(Base):
        id = IdField()
        tenant = TextField()
        address = TextField()
        reason = TextField()
        detail = TextField(default="")
        email_id = IntegerField(null=True)
        created_at = BigIntegerField()

        class Meta:
            table_name = "suppressions"
            indexes = ((("tenant", "address"), True),)

    db.create_tables(
        [
            Credential,
            Account,
            SyncTask,
            Folder,
            Message,
            Letter,
            ThreadKey,
            Part,
            Quarantined,
            Draft,
            Upload,
            SentCopy,
            Suppression,
        ]
    )
    words.create(db)
    migrator.migrate(migrator.add_column("smtp_configs", "account_id", TextField(null=True)))
    migrator.migrate(migrator.add_column("smtp_configs", "verp", BooleanField(default=False)))
    migrator.migrate(migrator.add_column("smtp_configs", "by_token", BooleanField(default=False)))


def down(migrator: SchemaMigrator, db: Database) -> None:
    if isinstance(db, SqliteDatabase):
        db.execute_sql("DROP TABLE words")
    for table in (
        "letters", "thread_keys", "credentials", "accounts", "sync_tasks", "folders", "messages", "parts",
        "quarantined", "drafts", "uploads", "sent_copies", "suppressions",
    ):  # fmt: skip
        db.execute_sql(f"DROP TABLE {table}")
    db.execute_sql("ALTER TABLE smtp_configs DROP COLUMN account_id")
    db.execute_sql("ALTER TABLE smtp_configs DROP COLUMN verp")
    db.execute_sql("ALTER TABLE smtp_configs DROP COLUMN by_token")
