"""What services share: the policy in force and the handles that the composition root made."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.imap import Client
from services.templates.compiled import Library
from utils.crypto import Signer, Vault
from utils.pool import Places, Pool

# Connections to mail accounts for those who wait for an answer. Providers allow an account ten or so, and sync has two.
PER_ACCOUNT, IN_ALL, IDLE_SECONDS = 3, 24, 60.0
# Large downloads, which last as long as whoever loads them likes: changes of the account find a connection beside them,
# and other callers a thread.
DOWNLOADS_PER_ACCOUNT, DOWNLOADS_IN_ALL = 2, 4


def _mailboxes() -> Pool[Client]:
    return Pool(Client.hang_up, per_key=PER_ACCOUNT, total=IN_ALL, idle_seconds=IDLE_SECONDS)


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings that decisions depend on. Times in ms, sizes in bytes."""

    data_dir: Path
    max_retries: int
    max_age: int
    priority_step: int
    message_id_domain: str
    max_message_bytes: int
    min_free_bytes: int
    body_retention: int
    retention: int
    allow_private_hosts: bool
    sandbox_port: int | None  # None: no sandbox
    helo: str
    rate_limits: dict[str, str] = field(default_factory=dict)  # endpoint group -> "100/minute"
    master_key: str = field(default="", repr=False)  # the bootstrap service key, admin scope
    jwt_secret: str = field(default="", repr=False)


@dataclass(slots=True)
class Relay:
    """One per process, in `app.extensions["mailferry"]`."""

    policy: Policy
    vault: Vault  # encrypts stored passwords
    signer: Signer  # marks Message-IDs as ours
    wake: Callable[[], None] = lambda: None  # there may be something to deliver: set by the workers
    alive: Callable[[], bool] = lambda: False  # whether this process delivers: the same
    delivering: Callable[[], bool] = lambda: False  # whether mail is on its way just now: the same
    described: list[dict[str, Any]] = field(default_factory=list)  # settings: name, value, why, changed
    stopping: Callable[[], bool] = lambda: False  # whether this process is told to stop: set by the server
    mailboxes: Pool[Client] = field(default_factory=_mailboxes)
    downloads: Places = field(default_factory=lambda: Places(DOWNLOADS_PER_ACCOUNT, DOWNLOADS_IN_ALL))
    accept_ms: deque[int] = field(
        default_factory=lambda: deque(maxlen=100_000)
    )  # until they are added to the totals
    templates: Library = field(default_factory=Library)  # compiled
