"""Every answer that a server may give ends in the right state, with the right party blamed."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from models.database import run, write
from services.relay import Relay
from services.smtp import Connection, Deadlines
from tests.support.ca import TestCA
from tests.support.relay import (
    add_config,
    attempts,
    delivering,
    email,
    events,
    health,
    recipient_states,
    state,
    submit,
    wait_for,
)
from tests.support.scripted_smtp import ScriptedServer
from tests.support.sink import Sink

DIALOGS = Path(__file__).parent.parent / "smtp" / "dialogs"
IMPATIENT = Deadlines(
    connect=1, greeting=0.4, mail=0.4, rcpt=0.4, data_init=0.4, data_block=0.4, data_done=0.4
)
open_impatiently = partial(Connection.open, deadlines=IMPATIENT)


def first_attempt(email_id: int) -> dict[str, object]:
    found: list[dict[str, object]] = wait_for(lambda: attempts(email_id))
    return found[0]


def test_an_accepted_email_is_sent_and_keeps_the_reply(relay: Relay, sink: Sink) -> None:
    config = add_config(sink.port)
    with delivering(relay):
        one = submit(relay, to=["Ann <ann@example.com>"], cc=["bob@example.com"], bcc=["eve@example.com"])
        wait_for(lambda: state(one) == "sent")
    (message,) = sink.messages
    assert message.rcpt_tos == ["ann@example.com", "bob@example.com", "eve@example.com"]
    assert b"eve@example.com" not in message.data
    (attempt,) = attempts(one)
    assert (attempt["outcome"], attempt["code"], attempt["stage"]) == ("sent", 250, "dot")
    assert "accepted" in str(attempt["reply"])
    assert email(one)["sent_at"] is not None and email(one)["lease"] is None
    assert health(config).failures == 0


def test_recipients_that_are_refused_put_off_and_accepted_each_get_their_own_truth(
    relay: Relay, sink: Sink
) -> None:
    config = add_config(sink.port)
    sink.reply_to_rcpt("later@example.com", "450 4.2.0 greylisted, come back")
    sink.reply_to_rcpt("never@example.com", "550 5.1.1 no such user")
    with delivering(relay):
        one = submit(relay, to=["ok@example.com", "later@example.com", "never@example.com"])
        attempt = first_attempt(one)
        wait_for(lambda: state(one) == "retry")
    assert recipient_states(one) == {
        "ok@example.com": "sent", "later@example.com": "retry", "never@example.com": "failed",
    }  # fmt: skip
    assert "greylisted" in str(attempt["replies"]) and "no such user" in str(attempt["replies"])
    assert attempt["blame"] == "recipient"
    row = email(one)
    assert (row["retry_count"], row["recipient_count"]) == (1, 1)
    assert 30_000 < row["available_at"] - row["updated_at"] < 120_000
    assert health(config).failures == 0


def test_only_recipients_that_are_left_are_tried_again(relay: Relay, sink: Sink) -> None:
    add_config(sink.port)
    sink.reply_to_rcpt("later@example.com", "450 4.2.0 later")
    with delivering(relay):
        one = submit(relay, to=["ok@example.com", "later@example.com"])
        wait_for(lambda: state(one) == "retry")
        sink.reply_to_rcpt("later@example.com", None)
        promote_now(one)
        wait_for(lambda: state(one) == "sent")
    assert [message.rcpt_tos for message in sink.messages] == [["ok@example.com"], ["later@example.com"]]
    assert sink.messages[0].data == sink.messages[1].data, "every attempt has the same bytes"


def promote_now(email_id: int) -> None:
    write(lambda: run("UPDATE emails SET available_at = 0, sort_at = 0 WHERE id = ?", email_id))


def test_a_refusal_by_452_after_the_body_defers_and_burns_a_retry(relay: Relay, sink: Sink) -> None:
    add_config(sink.port)
    sink.hooks.on_data = lambda message: "452 4.3.1 no room"
    with delivering(relay):
        one = submit(relay)
        attempt = first_attempt(one)
        wait_for(lambda: state(one) == "retry")
    assert (attempt["code"], attempt["outcome"]) == (452, "retry")
    assert email(one)["retry_count"] == 1


def test_a_permanent_refusal_of_the_body_fails_the_email(relay: Relay, sink: Sink) -> None:
    config = add_config(sink.port)
    sink.hooks.on_data = lambda message: "554 5.7.1 spam"
    with delivering(relay):
        one = submit(relay)
        wait_for(lambda: state(one) == "failed")
    assert (attempts(one)[0]["blame"], attempts(one)[0]["code"]) == ("email", 554)
    assert email(one)["error_message"].startswith("554")
    assert health(config).failures == 0


def test_too_many_recipients_go_in_further_transactions_at_once(relay: Relay, sink: Sink) -> None:
    add_config(sink.port)
    seen: list[str] = []

    def at_most_three(recipient: str) -> str | None:
        seen.append(recipient)
        accepted = sum(len(m.rcpt_tos) for m in sink.messages)
        position = int(recipient.partition("@")[0][1:])
        return None if position < accepted + 3 else "452 4.5.3 too many recipients"

    sink.hooks.on_rcpt = at_most_three
    with delivering(relay, workers=1):
        one = submit(relay, to=[f"r{n}@example.com" for n in range(8)])
        wait_for(lambda: state(one) == "sent", 10)
    assert [len(m.rcpt_tos) for m in sink.messages] == [3, 3, 2]
    assert set(recipient_states(one).values()) == {"sent"}
    assert email(one)["retry_count"] == 0


def test_a_refused_login_opens_the_breaker_for_minutes_and_burns_nothing(relay: Relay) -> None:
    with Sink(auth=("relay", "right")) as sink:
        config = add_config(sink.port, username="relay", password=relay.vault.encrypt("wrong"))
        with delivering(relay):
            one = submit(relay)
            attempt = first_attempt(one)
            wait_for(lambda: state(one) == "queued")
    assert (attempt["stage"], attempt["blame"], attempt["code"]) == ("auth", "config", 535)
    assert email(one)["retry_count"] == 0
    row = health(config)
    assert "login refused" in row.open_reason
    assert row.open_until - row.last_error_at >= 5 * 60_000
    assert "wrong" not in str(attempt) + str(row.open_reason).replace("wrong username", "")


def test_a_right_login_is_used(relay: Relay) -> None:
    with Sink(auth=("relay", "right")) as sink:
        add_config(sink.port, username="relay", password=relay.vault.encrypt("right"))
        with delivering(relay):
            one = submit(relay)
            wait_for(lambda: state(one) == "sent")


def test_a_quota_text_pauses_the_config_and_burns_nothing(relay: Relay, sink: Sink) -> None:
    config = add_config(sink.port)
    sink.hooks.on_mail = lambda sender: "550 5.4.5 Daily user sending limit exceeded."
    with delivering(relay):
        one = submit(relay)
        first_attempt(one)
        wait_for(lambda: state(one) == "queued")
    assert email(one)["retry_count"] == 0
    assert health(config).pause_until > health(config).last_error_at


BEFORE_MAIL = ["banner", "ehlo", "auth"]
AFTER_MAIL = ["mail", "rcpt", "data", "body"]


def submit_to_b(relay: Relay, **fields: str) -> int:
    """The dialogs are between a@test and b@test."""
    one = submit(relay, **fields)
    write(lambda: run("UPDATE recipients SET address = 'b@test' WHERE email_id = ?", one))
    return one


def play(relay: Relay, dialog: str) -> tuple[int, int]:
    """Deliver one email to a server that plays the dialog, until its attempt is recorded. (email, config)"""
    with ScriptedServer((DIALOGS / f"{dialog}.dialog").read_text()) as server:
        login = (
            {"username": "user", "password": relay.vault.encrypt("secret")} if dialog.endswith("auth") else {}
        )
        config = add_config(server.port, email_address="a@test", **login)
        one = submit_to_b(relay)
        with delivering(relay, workers=1, open_connection=open_impatiently):
            wait_for(lambda: attempts(one))
            wait_for(lambda: state(one) != "sending")
    return one, config


@pytest.mark.parametrize("how", ["stops", "closes", "resets"])
@pytest.mark.parametrize("stage", BEFORE_MAIL)
def test_a_connection_lost_before_mail_leaves_the_email_in_its_place(
    relay: Relay, how: str, stage: str
) -> None:
    one, config = play(relay, f"{how}-at-{stage}")
    assert state(one) == "queued"
    assert email(one)["retry_count"] == 0
    assert attempts(one)[0]["blame"] == "config"
    assert health(config).failures == 1 and health(config).open_until is not None


@pytest.mark.parametrize("how", ["stops", "closes", "resets"])
@pytest.mark.parametrize("stage", ["mail", "rcpt", "data"])
def test_a_connection_lost_before_the_dot_puts_the_email_off_without_burning_a_retry(
    relay: Relay, how: str, stage: str
) -> None:
    one, config = play(relay, f"{how}-at-{stage}")
    assert state(one) == "retry"
    assert (email(one)["retry_count"], email(one)["lost_count"]) == (0, 1)
    assert attempts(one)[0]["dot_at"] is None
    assert health(config).failures == 1


@pytest.mark.parametrize("how", ["stops", "closes", "resets"])
def test_a_connection_lost_after_the_dot_is_unknown_and_resent_by_default(relay: Relay, how: str) -> None:
    one, _ = play(relay, f"{how}-at-dot")
    assert events(one) == ["unknown"]
    assert attempts(one)[0]["outcome"] == "unknown"
    assert state(one) == "retry"
    assert email(one)["retry_count"] == 1


def test_a_connection_lost_after_the_dot_is_held_where_the_email_says_so(relay: Relay) -> None:
    with ScriptedServer((DIALOGS / "closes-at-dot.dialog").read_text()) as server:
        add_config(server.port, email_address="a@test")
        one = submit_to_b(relay, on_unknown="hold")
        with delivering(relay, workers=1, open_connection=open_impatiently):
            wait_for(lambda: state(one) == "unknown")
    assert set(recipient_states(one).values()) == {"unknown"}


@pytest.mark.parametrize(
    "dialog", ["421-at-connect", "endless-banner-slow", "endless-banner-fast", "garbage-banner"]
)
def test_a_server_that_is_not_in_order_counts_against_the_config(relay: Relay, dialog: str) -> None:
    one, config = play(relay, dialog)
    assert state(one) == "queued"
    assert email(one)["retry_count"] == 0
    assert health(config).failures == 1
    if dialog.startswith("421"):
        assert attempts(one)[0]["code"] == 421


def test_a_bad_certificate_counts_against_the_config_and_nothing_is_sent(
    relay: Relay, tmp_path: Path
) -> None:
    ca = TestCA(tmp_path)
    with Sink(tls=ca.server("127.0.0.1")) as sink:  # made by an authority that nobody trusts
        config = add_config(sink.port, use_tls=True, username="u", password=relay.vault.encrypt("p"))
        with delivering(relay):
            one = submit(relay)
            attempt = first_attempt(one)
            wait_for(lambda: state(one) == "queued")
        assert sink.accepted == 0
    assert (attempt["stage"], attempt["blame"]) == ("starttls", "config")
    assert "certificate" in str(attempt["reply"])
    assert health(config).failures == 1


def test_a_certificate_need_not_be_good_where_the_config_says_so(relay: Relay, tmp_path: Path) -> None:
    with Sink(tls=TestCA(tmp_path).server("127.0.0.1")) as sink:
        add_config(sink.port, use_tls=True, verify_tls=False)
        with delivering(relay):
            one = submit(relay)
            wait_for(lambda: state(one) == "sent")


def test_an_email_that_breaks_connections_while_others_pass_is_blamed_itself(
    relay: Relay, sink: Sink
) -> None:
    config = add_config(sink.port)
    sink.hooks.on_rcpt = lambda recipient: "<close>" if recipient.startswith("poison") else None
    with delivering(relay, workers=1):
        bad = submit(relay, to=["poison@example.com"])
        wait_for(lambda: state(bad) == "retry")
        assert email(bad)["retry_count"] == 0
        wait_for(lambda: state(submit(relay)) and sink.accepted > 0, 10)
        wait_for(lambda: health(config).failures == 0)
        promote_now(bad)
        wait_for(lambda: len(attempts(bad)) == 2)
        wait_for(lambda: email(bad)["retry_count"] == 1)
    assert health(config).failures == 0, "the config is not at fault"


def test_an_email_that_cannot_be_built_fails_alone(relay: Relay, sink: Sink) -> None:
    add_config(sink.port)
    bad, good = submit(relay), submit(relay)
    write(lambda: run("UPDATE emails SET subject = ? WHERE id = ?", "a\r\nBcc: x@y.z", bad))
    with delivering(relay, workers=1):
        wait_for(lambda: state(good) == "sent")
        wait_for(lambda: state(bad) == "failed")
    assert attempts(bad)[0]["stage"] == "build"


def test_kept_connections_that_died_unseen_cost_nothing(relay: Relay, sink: Sink) -> None:
    config = add_config(sink.port, max_connections=1)
    with delivering(relay, workers=1):
        for n in range(3):
            one = submit(relay)
            wait_for(lambda one=one: state(one) == "sent")  # type: ignore[misc]
            if n < 2:
                sink.drop_connections()
    assert health(config).failures == 0
    assert all(len(attempts(n)) == 1 for n in (1, 2, 3))
