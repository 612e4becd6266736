"""Reports that real servers made for mail that really went out, read from the mailbox that they came to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from models.database import rows
from services import reports, suppressions
from services.principal import Principal, Scope
from services.relay import Relay
from services.sync.run import Run
from tests.support.daemon import free_port
from tests.support.dovecot import FULL, Dovecot, shared
from tests.support.postfix import postfix
from tests.support.relay import (
    add_config,
    delivering,
    events,
    recipient_states,
    relay_in,
    state,
    submit,
    wait_for,
)  # fmt: skip
from tests.support.sink import Sink
from tests.support.syncing import Mailbox
from utils.clock import now_ms

ACME = Principal(None, "tests", service=False, tenant="acme", user="ann", scopes=frozenset(Scope))
QUOTA = """
protocol lmtp {
  mail_plugins = quota
}
plugin {
  quota = maildir:User quota
  quota_rule = *:bytes=10
}
"""


@cache
def full_server() -> Dovecot:
    """No mailbox of it has room for anything."""
    return Dovecot(more=QUOTA)


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relay]:
    with relay_in(tmp_path, allow_private_hosts=True) as relay:
        yield relay


@pytest.fixture
def mailbox(relay: Relay) -> Mailbox:
    return Mailbox(shared(FULL))


def synced(relay: Relay, mailbox: Mailbox) -> None:
    def prepare(run_: Run) -> None:
        run_.look_at = lambda letters: reports.look_at(relay, letters, now_ms())

    mailbox.sync(prepare)


def reported(relay: Relay, mailbox: Mailbox, condition: Callable[[], bool]) -> None:
    """Sync until the condition holds, as a poller would."""

    def looked() -> bool:
        synced(relay, mailbox)
        return condition()

    wait_for(looked, 60)


def send(relay: Relay, mailbox: Mailbox, port: int, *people: str, **config: object) -> int:
    add_config(port, tenant="acme", email_address=mailbox.user, **config)
    email_id = submit(relay, who=ACME, to=list(people))
    with delivering(relay):
        wait_for(lambda: state(email_id) == "sent")
    return email_id


def listed() -> list[str]:
    return [one["address"] for one in suppressions.listed("acme", suppressions.Filters(), 100)]


def test_postfix_tells_of_unknown_users_and_full_mailboxes(relay: Relay, mailbox: Mailbox) -> None:
    lmtp = f"lmtp:inet:127.0.0.1:{mailbox.server.lmtp}"
    full = f"lmtp:inet:127.0.0.1:{full_server().lmtp}"
    with (
        Sink() as sink,
        postfix(example_test=lmtp, full_test=full, gone_test=f"smtp:[127.0.0.1]:{sink.port}") as port,
    ):
        sink.reply_to_rcpt("ann@gone.test", "550 5.1.1 <ann@gone.test>: User unknown")
        people = ("ann@gone.test", "bob@full.test", mailbox.server.user())
        email_id = send(relay, mailbox, port, *people)
        reported(relay, mailbox, lambda: list(recipient_states(email_id).values()).count("bounced") == 2)
    assert recipient_states(email_id) == dict(zip(people, ("bounced", "bounced", "sent"), strict=True))
    assert listed() == ["ann@gone.test"]
    told = dict(rows("SELECT address, reply FROM recipients WHERE email_id = ?", email_id))
    assert "uota exceeded" in told["bob@full.test"]
    assert state(email_id) == "sent"


@pytest.mark.long  # Postfix takes its time
def test_postfix_tells_of_a_delay_and_then_of_the_end(relay: Relay, mailbox: Mailbox) -> None:
    lmtp, nobody = f"lmtp:inet:127.0.0.1:{mailbox.server.lmtp}", f"smtp:[127.0.0.1]:{free_port()}"
    with postfix(example_test=lmtp, down_test=nobody) as port:
        email_id = send(relay, mailbox, port, "ann@down.test")
        reported(relay, mailbox, lambda: "delayed" in events(email_id))
        assert recipient_states(email_id) == {"ann@down.test": "sent"}
        reported(relay, mailbox, lambda: recipient_states(email_id)["ann@down.test"] == "bounced")
    assert events(email_id) == ["delayed", "bounced"]
    assert listed() == []
