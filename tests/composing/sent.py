"""Mail that is sent through a real SMTP server, and the Sent folder of a real IMAP server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from apiflask import APIFlask

from models import SentCopy
from models.database import run, write
from services.composing import appending
from services.relay import Relay
from tests.composing.making import account
from tests.support.app import Caller
from tests.support.dovecot import FULL, PASSWORD, Dovecot, shared
from tests.support.relay import delivering, wait_for
from tests.support.sink import Sink
from utils.clock import now_ms

MAIL = {"to": ["bo@example.com"], "subject": "Hello", "body": "Hello Bo"}


@dataclass
class Desk:
    """A user at work: an account on a Dovecot, which sends through a sink."""

    relay: Relay
    caller: Caller
    dovecot: Dovecot
    user: str
    account_id: str

    def submit(self, **changes: Any) -> int:
        response = self.caller.post("/api/compose", MAIL | {"accountId": self.account_id} | changes)
        assert response.status_code == 202, response.json
        return int(response.json["email_id"])

    def send(self, **changes: Any) -> int:
        """The id of an email that the sink has taken."""
        email_id = self.submit(**changes)
        with delivering(self.relay, workers=1):
            wait_for(lambda: self.state(email_id) == "sent")
        return email_id

    def state(self, email_id: int) -> str:
        return str(self.caller.get(f"/api/emails/{email_id}").json["status"])

    def append(self, later: int = 0) -> int:
        """One round, `later` ms from now."""
        return appending.append_for(self.relay, self.account_id, lambda: now_ms() + later)

    def message_id(self, email_id: int) -> str:
        return str(self.caller.get(f"/api/emails/{email_id}").json["message_id"])

    def sent(self, folder: str = "Sent") -> list[bytes]:
        return [body for _, body in sent(self.dovecot, self.user, folder)]


@contextmanager
def desk(app: APIFlask, caller: Caller, profile: str | Dovecot = FULL, **fields: Any) -> Iterator[Desk]:
    dovecot = profile if isinstance(profile, Dovecot) else shared(profile)
    user = dovecot.user()
    with Sink(auth=(user, PASSWORD)) as sink:
        settings = {
            "username": user,
            "port": dovecot.imap,
            "emailAddress": user,
            "smtp_port": sink.port,
        } | fields
        yield Desk(app.extensions["mailferry"], caller, dovecot, user, account(caller, **settings))


def sent(dovecot: Dovecot, user: str, folder: str = "Sent") -> list[tuple[bytes, bytes]]:
    """Flags with the date, and the bytes, of each message in the folder, by a client that is not ours."""
    client = dovecot.client(user)
    try:
        state, exists = client.select(folder, readonly=True)
        if state != "OK" or exists == [b"0"]:
            return []
        _, data = client.fetch("1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")
        return [(one[0], one[1]) for one in data if isinstance(one, tuple)]
    finally:
        client.logout()


def message_ids(messages: list[bytes]) -> list[str]:
    found = [re.search(rb"^Message-ID: (\S+)", one, re.MULTILINE) for one in messages]
    return [one[1].decode() for one in found if one]


def copy(email_id: int) -> SentCopy:
    return SentCopy.get_by_id(email_id)


def due() -> None:
    """Let the time until the next try be over."""
    write(lambda: run("UPDATE sent_copies SET next_at = 0 WHERE state = 'waiting'"))
