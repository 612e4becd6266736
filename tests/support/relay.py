"""A relay in the test's own process: a real database, real workers, any SMTP server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import models
from models.database import row, rows, write
from models.smtp_config import Health, SmtpConfig
from services import accept, routing
from services.principal import Principal, Scope
from services.relay import Policy, Relay
from services.submission import NewEmail
from tests.support import database as databases
from utils.clock import HOUR, now_ms
from utils.crypto import Signer, Vault, new_fernet_key
from workers.engine import Engine

SERVICE = Principal(
    key_id=None, name="tests", service=True, tenant="", user="", scopes=frozenset(Scope), rate_limit=None
)


def policy(folder: Path, **changes: Any) -> Policy:
    defaults: dict[str, Any] = {
        "data_dir": folder,
        "max_retries": 5,
        "max_age": 72 * HOUR,
        "priority_step": 6 * HOUR,
        "message_id_domain": "relay.test",
        "max_message_bytes": 25_000_000,
        "min_free_bytes": 0,
        "body_retention": 14 * 24 * HOUR,
        "retention": 90 * 24 * HOUR,
        "allow_private_hosts": False,
        "sandbox_port": None,
        "helo": "relay.test",
        "master_key": "mf_master-key-of-the-tests",
        "jwt_secret": "a-jwt-secret-of-the-tests-000000",
    }
    return Policy(**defaults | changes)


@contextmanager
def relay_in(folder: Path, **changes: Any) -> Iterator[Relay]:
    models.initialize_db(databases.location(folder))
    try:
        yield Relay(policy(folder, **changes), Vault([new_fernet_key()]), Signer("s" * 32, "message-id"))
    finally:
        databases.close()


def add_config(port: int = 9, **fields: Any) -> int:
    """An SMTP config of the service on loopback, without TLS or login unless asked for."""
    now = now_ms()
    password = fields.pop("password", None)

    def job() -> int:
        config = SmtpConfig.create(
            **{
                "tenant": "",
                "name": f"config-{port}-{len(rows('SELECT 1 FROM smtp_configs'))}",
                "email_address": "relay@sender.test",
                "display_name": "Relay",
                "smtp_host": "127.0.0.1",
                "smtp_port": port,
                "use_tls": False,
                "password": password,
                "created_at": now,
                "updated_at": now,
                **fields,
            }
        )
        Health.create(smtp_config_id=config.id)
        routing.config_changed(config.id)
        return int(config.id)

    return write(job, durable=True)


def submit(relay: Relay, now: int | None = None, who: Principal = SERVICE, **fields: Any) -> int:
    defaults: dict[str, Any] = {"subject": "Hello", "to": ["ann@example.com"], "text": "Hello Ann"}
    email = NewEmail(**defaults | fields)
    return int(accept.submit(relay, who, email, now_ms() if now is None else now).body["email_id"])


@contextmanager
def delivering(relay: Relay, workers: int = 2, **options: Any) -> Iterator[Engine]:
    engine = Engine(relay, workers=workers, **options)
    engine.start()
    try:
        yield engine
    finally:
        engine.drain(10)


def wait_for(condition: Callable[[], Any], seconds: float = 15.0) -> Any:
    """The condition's first true value; fails the test when there is none in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.01)
    raise AssertionError("the condition did not come true in time")


def state(email_id: int) -> str:
    found = row("SELECT state FROM emails WHERE id = ?", email_id)
    assert found is not None
    return str(found[0])


def states() -> dict[str, int]:
    return dict(rows("SELECT state, count(*) FROM emails GROUP BY state"))


def email(email_id: int) -> dict[str, Any]:
    return next(models.Email.select().where(models.Email.id == email_id).dicts().iterator())


def recipient_states(email_id: int) -> dict[str, str]:
    return dict(rows("SELECT address, state FROM recipients WHERE email_id = ?", email_id))


def attempts(email_id: int) -> list[dict[str, Any]]:
    query = models.Attempt.select().where(models.Attempt.email_id == email_id).order_by(models.Attempt.id)
    return list(query.dicts())


def events(email_id: int) -> list[str]:
    return [kind for (kind,) in rows("SELECT type FROM events WHERE email_id = ? ORDER BY id", email_id)]


def health(config_id: int) -> Health:
    return Health.get_by_id(config_id)
