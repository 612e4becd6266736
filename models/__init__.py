"""Tables, constraints, single-statement queue operations, migrations."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from peewee import OperationalError

from models.account import Account, Credential, SyncTask
from models.composition import Draft, SentCopy, Suppression, Upload
from models.database import QueueDatabase, Table, database
from models.email import Attachment, Attempt, Blob, Content, Email, Event, Idempotency, Recipient, Tag
from models.inbox import Folder, Letter, Message, Part, Quarantined, ThreadKey
from models.people import AuditEntry, BrowserSession, User
from models.service import ApiKey, Instance, Leader, Minute, SandboxMessage, Switch, Total
from models.smtp_config import Health, Lane, Route, Slot, SmtpConfig, Usage
from models.template import Template, TemplateVersion
from utils.clock import keep_to, monotonic

log = logging.getLogger(__name__)

TABLES: tuple[type[Table], ...] = (
    Email, Content, Recipient, Tag, Blob, Attachment, Attempt, Event, Idempotency,
    SmtpConfig, Health, Slot, Usage, Lane, Route,
    Instance, Leader, Switch, ApiKey, SandboxMessage, Total, Minute,
    Credential, Account, SyncTask, Folder, Letter, ThreadKey, Message, Part, Quarantined,
    Draft, Upload, SentCopy, Suppression,
    User, BrowserSession, AuditEntry,
    Template, TemplateVersion,
)  # fmt: skip


Where = Path | str  # SQLite's file, or the URL of a PostgreSQL database


def initialize_db(where: Where | None = None, *, patience: float = 0.0) -> None:
    """Bind the models to the database and bring its tables up to date.

    `patience`: seconds to wait for a server that does not answer yet; OperationalError when it is still away then.

    Without a place, the one of the settings: so that `python -c "from models import initialize_db; initialize_db()"`
    prepares what the daemon will use. It is the one place where models look at config.
    """
    from models.migrate import migrate

    if where is None:
        import config

        where = config.load().database
    bind(where)
    _await(patience)
    migrate()
    database.obj.clock()


def bind(where: Where) -> None:
    """Bind the models to the database. SQLite's file need not exist yet."""
    keep_to(None)
    if isinstance(where, Path):
        where.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        database.initialize(QueueDatabase(where))
    else:
        from models.postgres import PostgresQueue  # its driver takes some 50 ms to load

        database.initialize(PostgresQueue(where))


def announce() -> None:
    """Tell daemons that there may be something to do; for a process that does not deliver itself."""
    database.obj.announce()


def _await(patience: float) -> None:
    """A server may be started with us, or just be away for a moment."""
    end = monotonic() + patience
    while database.shared:
        try:
            database.obj.clock()
            return
        except OperationalError as exc:
            if monotonic() >= end:
                raise
            log.warning("action=database_awaited error=%s", str(exc).partition("\n")[0])
        threading.Event().wait(1.0)
