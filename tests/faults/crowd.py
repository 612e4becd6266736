"""Clients that post all sorts of mail, and servers that have their moods."""

from __future__ import annotations

import base64
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from tests.support.daemon import KEY, Daemon
from tests.support.sink import LoggingSink, Message

HTML = "<h1>Hello</h1><p>" + "A sentence with a <a href='https://example.com/x'>link</a>. " * 30 + "</p>"
PNG = base64.b64encode(random.Random(1).randbytes(20_000)).decode()


class Crowd:
    """Clients that post all sorts of mail, and keep count of what was accepted and what was cancelled."""

    def __init__(self, daemon: Daemon, configs: list[int], chance: random.Random) -> None:
        self._daemon, self._configs, self._chance = daemon, configs, chance
        self._number = 0
        self._lock = threading.Lock()
        self.accepted: list[int] = []
        self.cancelled: set[int] = set()
        self.kinds: Counter[str] = Counter()
        self.over = threading.Event()
        self._threads = [threading.Thread(target=self._post, args=(n,), daemon=True) for n in range(3)]

    def __enter__(self) -> Crowd:
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.over.set()
        for one in self._threads:
            one.join(60)

    def _email(self, **fields: Any) -> dict[str, Any]:
        with self._lock:
            self._number += 1
            number = self._number
        return {
            "subject": f"Mail {number}",
            "recipients": [f"r{number}@example.com"],
            "html_content": HTML,
            **fields,
        }

    def _sorts(self) -> dict[str, Callable[[], tuple[str, Any]]]:
        one = "/api/emails"
        soon = (datetime.now(UTC) + timedelta(seconds=self._chance.uniform(1, 20))).isoformat()
        tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
        file = {"filename": "logo.png", "content_type": "image/png", "content": PNG}
        crowd = [f"c{n}-{self._number}@example.com" for n in range(20)]
        return {
            "single": lambda: (one, self._email()),
            "pinned": lambda: (one, self._email(smtp_config_id=self._chance.choice(self._configs))),
            "batch": lambda: (
                f"{one}/batch",
                {"mode": "strict", "emails": [self._email() for _ in range(20)]},
            ),
            "attachment": lambda: (one, self._email(attachments=[file])),
            "20 recipients": lambda: (one, self._email(recipients=crowd)),
            "scheduled": lambda: (one, self._email(send_at=soon)),
            "cancelled": lambda: (one, self._email(send_at=tomorrow)),
            "put off by the server": lambda: (
                one,
                self._email(recipients=[f"later{self._number}@example.com"]),
            ),
        }

    def _post(self, number: int) -> None:
        session = requests.Session()
        session.trust_env = False
        session.headers["X-API-Key"] = KEY
        while not self.over.is_set():
            sorts = self._sorts()
            kind = self._chance.choice(list(sorts))
            path, body = sorts[kind]()
            try:
                answer = session.post(self._daemon.url + path, json=body, timeout=20)
                if answer.ok:
                    self._note(session, kind, answer.json())
            except (requests.RequestException, ValueError):
                time.sleep(0.2)
            time.sleep(self._chance.uniform(0.0, 0.1))

    def _note(self, session: requests.Session, kind: str, said: dict[str, Any]) -> None:
        ids = [one["email_id"] for one in said["results"]] if "results" in said else [said["email_id"]]
        self.accepted += ids
        self.kinds[kind] += len(ids)
        if kind == "cancelled":
            self.cancelled.update(ids)  # asked for, whether or not the answer comes: it is for tomorrow
            session.post(f"{self._daemon.url}/api/emails/{ids[0]}/cancel", timeout=20)


class Moody(LoggingSink):
    """Puts off some mail once, and has its bad days."""

    def __init__(self, path: str, chance: random.Random) -> None:
        super().__init__(path)
        self._chance = chance
        self.refusing = 0.0  # the share of sessions that it ends with a 421
        self.hooks.on_rcpt = self._later
        self.hooks.on_connect = lambda: "421 4.3.2 not now" if self._is_refusing() else None
        self.hooks.on_mail = lambda sender: "421 4.7.0 enough for now" if self._is_refusing() else None
        self.hooks.on_data = self._deferred
        self._seen: set[str] = set()

    def _is_refusing(self) -> bool:
        return self._chance.random() < self.refusing

    def _later(self, recipient: str) -> str | None:
        if recipient.startswith("later") and recipient not in self._seen:
            self._seen.add(recipient)
            return "450 4.2.0 try again in 1 second"
        return None

    def _deferred(self, message: Message) -> str | None:
        return "451 4.3.0 try again later" if self._chance.random() < 0.002 else None
