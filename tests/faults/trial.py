"""One daemon that something happens to, an SMTP server that logs, and a client that knows what it was promised."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import Any

import requests

from tests.support import chaos
from tests.support.chaos import CONNECTIONS, Sums
from tests.support.daemon import Daemon
from tests.support.sink import LoggingSink

SITE = Path(__file__).parent / "site"


class Client:
    """Posts under Idempotency-Keys. What it got no answer to it asks again, and never gets a second email by it."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._asked: dict[str, tuple[str, Any]] = {}
        self._answers: dict[str, list[int]] = {}

    @property
    def emails_asked_for(self) -> int:
        return sum(len(body.get("emails", [1])) for _, body in self._asked.values())

    @property
    def accepted(self) -> list[int]:
        """The ids whose answer was read."""
        return [one for ids in self._answers.values() for one in ids]

    def post(self, count: int = 1, **fields: Any) -> None:
        for _ in range(count):
            self._ask("/api/emails", self._email(**fields))

    def post_batch(self, count: int, **fields: Any) -> None:
        self._ask(
            "/api/emails/batch", {"mode": "strict", "emails": [self._email(**fields) for _ in range(count)]}
        )

    def ask_again(self) -> None:
        """Every request of before, answered or not: as a client does that cannot know."""
        for key in list(self._asked):
            before = self._answers.get(key)
            # once more where the connection that was kept had been to a process that is dead
            assert self._send(key) or self._send(key), "the daemon answers again"
            assert before is None or self._answers[key] == before, "the first answer, and no other"

    def _email(self, **fields: Any) -> dict[str, Any]:
        number = time.monotonic_ns()
        return {
            "subject": "Hello",
            "recipients": [f"{number}@example.com"],
            "text_content": "Hello " * 50,
            **fields,
        }

    def _ask(self, path: str, body: Any) -> None:
        key = f"key-{len(self._asked)}"
        self._asked[key] = (path, body)
        self._send(key)

    def _send(self, key: str) -> bool:
        path, body = self._asked[key]
        try:
            answer = self._daemon.http.post(
                self._daemon.url + path, json=body, headers={"Idempotency-Key": key}, timeout=30
            )
        except requests.RequestException:
            return False
        if not answer.ok:
            return False
        said = answer.json()
        self._answers[key] = (
            [one["email_id"] for one in said["results"]] if "results" in said else [said["email_id"]]
        )
        return True


class Trial:
    def __init__(
        self, folder: Path, *, pipelining: bool = True, sink: LoggingSink | None = None, **settings: Any
    ):
        self.folder = folder
        self.log = folder / "delivered.jsonl"
        self.sink = sink or LoggingSink(str(self.log), pipelining=pipelining)
        self.daemon = Daemon(folder, **{"queue_workers": 4, **settings})
        self.client = Client(self.daemon)
        self.faults = 0
        self.mark = folder / "mark"

    def __enter__(self) -> Trial:
        self.sink.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self.daemon.process is not None and self.daemon.process.poll() is None:
                self.daemon.kill()
        finally:
            self.sink.close()

    def arm(self, place: str, do: str = "kill", **more: str) -> None:
        """The next start fails at this place (tests/faults/site), once."""
        self.mark.unlink(missing_ok=True)
        self.daemon.settings |= {
            "PYTHONPATH": str(SITE), "FAULT_AT": place, "FAULT_DO": do, "FAULT_MARK": str(self.mark), **more
        }  # fmt: skip

    def disarm(self) -> None:
        for name in ("FAULT_AT", "FAULT_DO", "FAULT_MARK", "FAULT_SYNC"):
            self.daemon.settings.pop(name, None)

    def add_config(self, **fields: Any) -> int:
        return self.daemon.add_config(self.sink.port, **{"max_connections": CONNECTIONS, **fields})

    def wait_for_death(self, seconds: float = 20.0) -> None:
        """Until the place was reached and all processes of the daemon have gone."""
        process = self.daemon.process
        assert process is not None
        process.wait(seconds)
        assert self.mark.exists(), "it ended before the place was reached"
        self.faults += 1

    def wait_for_fault(self, seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while not self.mark.exists():
            assert time.monotonic() < end, "the place was not reached"
            time.sleep(0.02)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return chaos.query(self.daemon, sql)

    def hurry(self) -> None:
        """Bring forward what waits for a next try."""
        for (email_id,) in self.query("SELECT id FROM emails WHERE state IN ('retry', 'scheduled')"):
            self.daemon.http.patch(
                f"{self.daemon.url}/api/emails/{email_id}",
                json={"send_at": "2000-01-01T00:00:00Z"},
                timeout=30,
            )

    def settle(self, seconds: float = 60.0) -> None:
        """Until nothing waits any more."""
        end = time.monotonic() + seconds
        while self.query("SELECT 1 FROM emails WHERE finished_at IS NULL AND state != 'unknown' LIMIT 1"):
            assert time.monotonic() < end, (
                f"stuck: {self.query('SELECT state, count(*) FROM emails GROUP BY 1')}"
            )
            self.hurry()
            time.sleep(0.1)

    def finish(self, accepted: list[int] | None = None) -> Sums:
        """Let it all go out, stop, and count. Unless others posted, what was `accepted` is the client's, which asks for
        everything again first."""
        if accepted is None:
            self.client.ask_again()
        self.settle()
        self.daemon.stop()
        if accepted is None:
            stored = self.query("SELECT count(*) FROM emails")[0][0]
            assert stored == self.client.emails_asked_for, "one email for each that was asked for"
        return self.count(self.client.accepted if accepted is None else accepted)

    def count(self, accepted: list[int]) -> Sums:
        return chaos.sums(self.daemon, accepted, self.log, self.faults)
