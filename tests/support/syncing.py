"""A mailbox on a real server, and an account of ours that is synced with it."""

from __future__ import annotations

import hashlib
import imaplib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from models.account import Account
from models.database import rows, run, write
from services.imap import Client, Endpoint, Limits
from services.imap.names import decode
from services.sync.passes import run_pass
from services.sync.run import Counts, Run, Wish
from tests.support.dovecot import HOST, PASSWORD, Dovecot
from utils.clock import now_ms

LIMITS = Limits(connect=5.0, greeting=10.0, command=20.0)

State = dict[str, dict[int, tuple[Any, ...]]]  # folder -> UID -> (flags, size, hash of the header)


def letter(number: int, subject: str = "", body: str = "", **headers: str) -> bytes:
    """A plain one, like no other."""
    lines = {
        "From": f"Bob <bob{number}@example.com>", "To": "Ann <ann@example.test>",
        "Subject": subject or f"Letter {number}", "Message-ID": f"<letter-{number}@example.com>",
        "Date": "Wed, 25 Nov 2026 10:00:00 +0000",
    } | headers  # fmt: skip
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{head}\r\n{body or f'Text of letter {number}'}\r\n".encode()


@dataclass
class Mailbox:
    server: Dovecot
    user: str = ""
    account_id: str = ""  # of an account that is there; else one is made
    port: int | None = None  # through which to reach the server, if not its own
    commands: list[str] = field(default_factory=list)  # of the last pass
    limits: Limits = LIMITS
    before: Callable[[str], None] = lambda command: None  # a command of a pass
    after: Callable[[str], None] = lambda command: None

    def __post_init__(self) -> None:
        self.user = self.user or self.server.user()
        if self.account_id:
            return
        self.account_id = f"account-of-{self.user}"
        now = now_ms()
        write(
            lambda: Account.create(
                id=self.account_id, tenant="acme", user="ann", name="Work", email_address=self.user, hostname=HOST,
                port=self.server.imap, encryption="none", username=self.user, credential_id="c", created_at=now,
                updated_at=now,
            )
        )  # fmt: skip

    @property
    def account(self) -> Account:
        return Account.get_by_id(self.account_id)

    def open(self) -> Client:
        endpoint = Endpoint(
            HOST, self.port or self.server.imap, "none", True, self.user, PASSWORD, allow_private=True
        )
        client = Client.open(endpoint, self.limits)
        ran = client.protocol.run

        def counted(name: str, *arguments: Any, **options: Any) -> Any:
            command = " ".join([name, *(str(one) for one in arguments)])
            self.commands.append(command)
            self.before(command)
            answer = ran(name, *arguments, **options)
            self.after(command)
            return answer

        client.protocol.run = counted  # type: ignore[method-assign]
        return client

    def sync(self, prepare: Callable[[Run], None] = lambda run_: None, **wish: Any) -> Counts:
        """One pass, as a poller would do it."""
        now, lease = now_ms(), now_ms() * 1_000
        write(lambda: run("UPDATE accounts SET lease = ? WHERE id = ?", lease, self.account_id))
        run_ = Run(self.account, lease, now, self.open, Wish(**wish))
        prepare(run_)
        self.commands.clear()
        try:
            run_pass(run_)
        finally:
            run_.close()
            write(lambda: run("UPDATE accounts SET lease = NULL WHERE id = ?", self.account_id))
        return run_.counts

    # The two states that must be the same.

    def ours(self) -> State:
        state: State = {
            name: {}
            for (name,) in rows(
                "SELECT name FROM folders WHERE account_id = ? AND missed = 0 AND is_selectable",
                self.account_id,
            )
        }
        for name, uid, flags, size, headers in rows(
            "SELECT f.name, m.uid, m.flags, l.size, l.headers FROM messages m JOIN folders f ON f.id = m.folder_id"
            " JOIN letters l ON l.id = m.letter_id WHERE m.account_id = ? AND m.gone_at IS NULL AND f.missed = 0",
            self.account_id,
        ):
            assert uid not in state[name]
            state[name][uid] = (tuple(json.loads(flags)), size, _hash(headers.encode()))
        return state

    def theirs(self) -> State:
        client = self.server.client(self.user)
        try:
            return {decode(name): messages_of(client, name) for name in folders_of(client)}
        finally:
            client.logout()


def folders_of(client: imaplib.IMAP4) -> list[bytes]:
    found = []
    for line in client.list()[1]:
        assert isinstance(line, bytes)
        match = re.fullmatch(rb'\(([^)]*)\) (?:NIL|"[^"]*") (?:"((?:[^"\\]|\\.)*)"|(\S+))', line)
        assert match, line
        if b"\\NoSelect" not in match[1] and b"\\Noselect" not in match[1]:
            found.append(re.sub(rb"\\(.)", rb"\1", match[2]) if match[2] is not None else match[3])
    return found


def quoted(name: bytes) -> str:
    return '"' + name.decode().replace("\\", "\\\\").replace('"', '\\"') + '"'


def messages_of(client: imaplib.IMAP4, name: bytes) -> dict[int, tuple[Any, ...]]:
    assert client.select(quoted(name), readonly=True)[0] == "OK"
    state: dict[int, tuple[Any, ...]] = {}
    for one in client.uid("FETCH", "1:*", "(UID FLAGS RFC822.SIZE BODY.PEEK[HEADER])")[1]:
        if not isinstance(one, tuple):
            continue
        told, header = one
        flags = re.search(rb"FLAGS \(([^)]*)\)", told)
        uid, size = re.search(rb"UID (\d+)", told), re.search(rb"RFC822.SIZE (\d+)", told)
        assert flags and uid and size
        names = sorted(flag.decode() for flag in flags[1].split() if flag != b"\\Recent")
        state[int(uid[1])] = (tuple(names), int(size[1]), _hash(header.rstrip(b"\r\n")))
    return state


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
