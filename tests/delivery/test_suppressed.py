"""Nobody who is suppressed gets mail, whenever it was accepted; and where bounces of what is sent are to come."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services import actions, message_ids, suppressions
from services.reading import email_detail
from services.relay import Relay
from services.suppressions import New
from services.why import why
from tests.support.relay import (
    add_config,
    delivering,
    email,
    events,
    recipient_states,
    relay_in,
    state,
    submit,
    wait_for,
)  # fmt: skip
from tests.support.sink import Sink
from utils.clock import now_ms

ANN, BOB = "ann@example.com", "Bob@example.com"


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relay]:
    with relay_in(tmp_path) as relay:
        yield relay


def suppress(address: str) -> None:
    suppressions.add("", [New(suppressions.folded(address))], now_ms())


def test_what_was_accepted_before_leaves_them_out(relay: Relay) -> None:
    with Sink() as sink:
        config = add_config(sink.port, limit_unit="recipients", hourly_limit=100)
        both, alone = submit(relay, to=[ANN], cc=[BOB]), submit(relay, to=[BOB])
        suppress(BOB)
        with delivering(relay):
            wait_for(lambda: state(both) == "sent" and state(alone) == "failed")
        (message,) = sink.wait_for(1)
    assert message.rcpt_tos == [ANN]
    assert recipient_states(both) == {ANN: "sent", BOB: "suppressed"}
    assert (events(both), events(alone)) == (["suppressed"], ["suppressed"])
    assert email_detail(relay, None, both, now_ms())["error_message"] is None
    assert f"{BOB} is suppressed" in why(relay, None, both, now_ms())["message"]
    assert "suppressed" in why(relay, None, alone, now_ms())["message"]
    assert used(config) == 1


def used(config_id: int) -> int:
    from models.database import row

    found = row("SELECT sum(recipients) FROM usage WHERE smtp_config_id = ?", config_id)
    return int(found[0]) if found else 0


def test_once_removed_from_the_list_they_can_be_tried_again(relay: Relay) -> None:
    with Sink() as sink:
        add_config(sink.port)
        email_id = submit(relay, to=[BOB])
        suppress(BOB)
        with delivering(relay):
            wait_for(lambda: state(email_id) == "failed")
            actions.retry(relay, None, email_id, now_ms())
            wait_for(lambda: state(email_id) == "failed")
            suppressions.remove("", BOB)
            actions.retry(relay, None, email_id, now_ms())
            wait_for(lambda: state(email_id) == "sent")


def test_of_an_email_some_of_whose_recipients_are_suppressed_the_others_get_it(relay: Relay) -> None:
    suppress(BOB)
    with Sink() as sink:
        add_config(sink.port)
        email_id = submit(relay, to=[BOB, ANN])
        with delivering(relay):
            wait_for(lambda: state(email_id) == "sent")
        assert [one.rcpt_tos for one in sink.wait_for(1)] == [[ANN]]
    assert email(email_id)["error_message"] is None
    assert recipient_states(email_id) == {BOB: "suppressed", ANN: "sent"}


def test_a_config_may_have_its_bounces_sent_to_a_marked_address(relay: Relay) -> None:
    with Sink() as sink:
        marked = add_config(sink.port, verp=True, allow_any_sender=True)
        own = submit(relay, smtp_config_id=marked)
        submit(relay, smtp_config_id=marked, sender="shop@other.test")
        with delivering(relay):
            found = {one.mail_from for one in sink.wait_for(2)}
    assert "shop@other.test" in found  # nobody knows whether its mailbox takes such addresses
    (sender,) = found - {"shop@other.test"}
    assert sender.startswith("relay+mf=") and sender.endswith("@sender.test")
    assert message_ids.pairs_in_addresses(sender) == message_ids.pairs_in(str(email(own)["message_id"]))


def test_an_address_that_would_get_too_long_stays_as_it_is() -> None:
    long = f"{'a' * 40}@sender.test"
    assert message_ids.bounce_address(long, f"<{'0' * 20}.{'1' * 20}@relay.test>") == long
    assert message_ids.bounce_address("a@b.test", "<other@relay.test>") == "a@b.test"
