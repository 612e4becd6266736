"""Tables, constraints, single-statement queue operations, migrations."""

from __future__ import annotations

from pathlib import Path

from models.database import QueueDatabase, Table, database
from models.email import Attachment, Attempt, Blob, Content, Email, Event, Idempotency, Recipient, Tag
from models.service import ApiKey, Instance, Leader, SandboxMessage, Switch, Total
from models.smtp_config import Health, Lane, Route, Slot, SmtpConfig, Usage

TABLES: tuple[type[Table], ...] = (
    Email, Content, Recipient, Tag, Blob, Attachment, Attempt, Event, Idempotency,
    SmtpConfig, Health, Slot, Usage, Lane, Route,
    Instance, Leader, Switch, ApiKey, SandboxMessage, Total,
)  # fmt: skip


def initialize_db(path: Path | None = None) -> None:
    """Bind the models to the database file and bring its tables up to date.

    Without a path, the one of the settings: so that `python -c "from models import initialize_db; initialize_db()"`
    prepares what the daemon will use. It is the one place where models look at config.
    """
    from models.migrate import migrate

    if path is None:
        import config

        path = config.load().database_path
    bind(path)
    migrate(path)


def bind(path: Path) -> None:
    """Bind the models to the database file, which need not exist yet."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    database.initialize(QueueDatabase(path))
