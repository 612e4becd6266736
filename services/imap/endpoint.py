"""Whom to talk to, and how long to wait for it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

Encryption = Literal["tls", "starttls", "none"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds: `connect` for all addresses of the host, `greeting` for each step until we are in, `command` for each
    256 KB of an answer and `whole` for all of it, `session` for all that is said on the connection. `answer`: the most
    bytes that one command may bring."""

    connect: float = 30.0
    greeting: float = 60.0
    command: float = 90.0
    whole: float = 900.0
    session: float = math.inf
    answer: int = 64_000_000


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Logs in with `token` if there is one, else with `password`. `ca_file` replaces the system's
    authorities. With `none` a password travels in the clear: whoever chose the one chose the other."""

    host: str
    port: int
    encryption: Encryption
    verify_tls: bool
    username: str
    password: str | None = field(repr=False)
    token: str | None = field(default=None, repr=False)
    allow_private: bool = False
    ca_file: str | None = None
