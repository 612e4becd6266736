"""Writes controllers/examples.json: what each operation answers, recorded from a real daemon.

    python -m tests.openapi.record

What differs from run to run (times, ids, ports, names of this machine) is put in place of something steady, so that a
new recording changes only what the API has changed.
"""

from __future__ import annotations

import json
import re
import tempfile
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.openapi.conftest import SETTINGS
from tests.openapi.played import Play, play
from tests.support.daemon import ROOT, Daemon, free_port
from tests.support.dovecot import shared
from utils.clock import iso, parse_iso

TARGET = ROOT / "controllers/examples.json"
THEN = 1_769_851_800_000  # 2026-01-31T09:30:00Z
LINES = 12  # of a long text

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_DATE = re.compile(r"[A-Z][a-z]{2}, \d\d? [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000")
_RANDOM = re.compile(r"\b[0-9a-f]{8}-[0-9a-f-]{27}\b|\b[0-9a-f]{32}\b|\b[0-9a-f]{20}\b|\b[0-9a-f]{24}\b")
_KEY = re.compile(r"\bmf_[A-Za-z0-9_-]{43}")
_TOKEN = re.compile(r"\beyJ[A-Za-z0-9_.-]+")
_HOST = re.compile(r"\b127\.0\.0\.1\b")
_PORT = re.compile(r"(:|port )\d{5}\b")
_LINK = re.compile(r"expires=\d+&signature=[0-9a-f]+")
_OF_THIS_RUN = {
    "port": 993, "smtp_port": 587, "ms": 12, "encryption": "tls", "prefix": "mf_4kQnY",
    "Received": "from mail.example.com by mail.example.com; Sat, 31 Jan 2026 09:30:00 +0000",
}  # fmt: skip


class Steady:
    """Puts what is steady in place of what is not."""

    def __init__(self, begun: int, user: str) -> None:
        self._shift, self._user = THEN - begun, user
        self._names: dict[str, str] = {}

    def of(self, value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: self.of(one, name) for name, one in value.items()}
        if isinstance(value, list):
            return [self.of(one, key) for one in value]
        if isinstance(value, str):
            return _OF_THIS_RUN.get(key) or self._text(value)
        if isinstance(value, int) and value > 10**12:
            return self._moment(value)
        return _OF_THIS_RUN.get(key, value) if value else value

    def _text(self, text: str) -> str:
        rules: list[tuple[re.Pattern[str], Callable[[re.Match[str]], str]]] = [
            (_KEY, lambda _: "mf_4kQnYc2pTzR8vLx0WdEjUaSg6bHmN1oFq9iKr3uVyB7"),
            (_TOKEN, lambda _: "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ0ZW5hbnRfaWQiOiJzaG9wIn0.4kQnYc2pTzR8vLx0WdEj"),
            (_TIME, lambda found: iso(self._moment(parse_iso(found[0])))),
            (_DATE, lambda _: datetime.fromtimestamp(THEN / 1_000, UTC).strftime("%a, %d %b %Y %H:%M:%S +0000")),
            (_RANDOM, self._name),
            (_LINK, lambda _: "expires=1769855400&signature=5a0d1c8e94b7f2360e1d"),
            (_HOST, lambda _: "mail.example.com"),
            (_PORT, lambda found: f"{found[1]}993"),
        ]  # fmt: skip
        text = "\n".join(text.split("\n")[:LINES]).replace(self._user, "ann@example.com")
        for pattern, put in rules:
            text = pattern.sub(put, text)
        return text.replace("mailferry.local", "relay.example.com")

    def _moment(self, at: int) -> int:
        """To the tenth of a second, so that a slow machine records what a quick one does."""
        return (at + self._shift) // 100_000 * 100_000

    def _name(self, found: re.Match[str]) -> str:
        if found[0] not in self._names:
            made = str(uuid.uuid5(uuid.NAMESPACE_OID, str(len(self._names))))
            hexed = made if "-" in found[0] else made.replace("-", "")[: len(found[0])]
            self._names[found[0]] = hexed
        return self._names[found[0]]


def recorded(it: Play, steady: Steady) -> dict[str, dict[str, Any]]:
    """The first answer of each operation and status that has a body."""
    found: dict[str, dict[str, Any]] = {}
    for one in it.exchanges:
        if one.body not in ("", None):
            found.setdefault(one.operation, {}).setdefault(str(one.status), steady.of(one.body))
    return dict(sorted(found.items()))


def main() -> None:
    server = shared()
    with (
        tempfile.TemporaryDirectory() as folder,
        Daemon(Path(folder), sandbox_smtp_port=free_port(), **SETTINGS) as daemon,
    ):
        it = play(daemon, server, daemon.get("/openapi.json"))
    steady = Steady(parse_iso(it.exchanges[1].body["timestamp"]), it.user)
    TARGET.write_text(json.dumps(recorded(it, steady), indent=1, ensure_ascii=False) + "\n")
    print(f"{len(it.exchanges)} answers recorded in {TARGET}")


if __name__ == "__main__":
    main()
