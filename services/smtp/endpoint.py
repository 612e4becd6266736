"""Whom to talk to, and how long to wait for each answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

TlsMode = Literal["none", "starttls", "implicit"]


class Target(Protocol):
    """Whom to dial, and how to trust them; servers of other protocols are reached in the same way."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def allow_private(self) -> bool: ...
    @property
    def verify_tls(self) -> bool: ...
    @property
    def ca_file(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds, each for one whole reply however slowly it trickles in (RFC 5321 4.5.3.2).

    `connect` and `greeting` (banner, EHLO, STARTTLS, AUTH) are below the RFC's 5 minutes: no mail depends on
    them yet, a worker waits, and an account that needs longer is one for the breaker. `connect` covers all
    addresses of the host. `data_block` is for each 256 KB written.
    """

    connect: float = 30.0
    greeting: float = 60.0
    mail: float = 300.0
    rcpt: float = 300.0
    data_init: float = 120.0
    data_block: float = 180.0
    data_done: float = 600.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Logs in with `token` if there is one, else with `password`. With `tls` none it travels in the clear: whoever
    chose the one chose the other. `ca_file` replaces the system's certificate authorities."""

    host: str
    port: int
    tls: TlsMode
    verify_tls: bool
    username: str | None
    password: str | None = field(repr=False)
    allow_private: bool
    helo: str
    ca_file: str | None = None
    token: str | None = field(default=None, repr=False)
