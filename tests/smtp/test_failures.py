"""Servers that stop, hang up or talk nonsense, at every stage of the dialog."""

import threading
import time

import pytest

from services.outcome import Blame, Verdict
from services.smtp import Reason, SmtpError, Stage
from tests.support.playhouse import BODY, HASTY, PATIENT, envelope

SENT, RETRY, FAILED, UNKNOWN = Verdict.SENT, Verdict.RETRY, Verdict.FAILED, Verdict.UNKNOWN
BIG = b"x" * 70 + b"\r\n"
BIG = BIG * 300_000  # more than the kernel's buffers take in
STAGES = ("banner", "ehlo", "auth", "mail", "rcpt", "data", "dot")
LOGIN = {"username": "user", "password": "word"}


def verdicts(outcome):
    return [verdict for verdict, _ in outcome.results]


def attempt(smtp, stage, deadlines=PATIENT, **more):
    login = LOGIN if stage == "auth" else {}
    started = time.monotonic()
    outcome = smtp.attempt(deadlines=deadlines, **login, **more)
    return outcome, time.monotonic() - started


def check(outcome, stage, verdict=None):
    after = stage == "dot"
    assert verdicts(outcome) == [verdict or (UNKNOWN if after else RETRY)]
    assert (outcome.blame, outcome.config_failure) == (Blame.CONFIG, True)
    assert outcome.burns_retry is after
    assert outcome.summary.startswith(f"{stage}: ")


@pytest.mark.parametrize("stage", STAGES)
def test_a_server_that_stops_answering_meets_the_deadline(smtp, stage):
    smtp.play(f"stops-at-{stage}")
    outcome, took = attempt(smtp, stage, HASTY)
    check(outcome, stage)
    assert "did not answer in time" in outcome.summary
    assert 0.28 < took < 2


@pytest.mark.parametrize("how", ["closes", "resets"])
@pytest.mark.parametrize("stage", STAGES)
def test_a_lost_connection_is_noticed_at_once(smtp, stage, how):
    smtp.play(f"{how}-at-{stage}")
    outcome, took = attempt(smtp, stage)
    check(outcome, stage)
    assert took < 2


def test_a_hang_up_is_told_from_nonsense(smtp):
    smtp.play("closes-at-banner")
    with pytest.raises(SmtpError) as caught:
        smtp.open()
    assert (caught.value.reason, caught.value.reply) == (Reason.CLOSED, None)
    assert "closed the connection" in caught.value.detail


def test_a_server_that_stops_reading_meets_the_deadline(smtp):
    smtp.play("stops-at-body")
    outcome, took = attempt(smtp, "body", HASTY, body=BIG)
    check(outcome, "body")
    assert 0.28 < took < 3


def test_a_server_that_pauses_its_reading_gets_the_rest(smtp):
    server = smtp.play_text(
        "S: 220 mx\nC: EHLO *\nS: 250 mx\nC: MAIL *\nS: 250 ok\nC: RCPT *\nS: 250 ok\nC: DATA\n"
        "S: 354 go\nS: <wait 0.2>\nC: <body>\nS: 250 taken",
        buffers=64 * 1024,
    )
    body = BIG[:7_200_000]
    assert verdicts(smtp.attempt(body=body)) == [SENT]
    assert server.bodies == [body]


def test_a_server_that_floods_us_while_we_write_is_cut_off(smtp):
    smtp.play_text(
        "S: 220 mx\nC: EHLO *\nS: 250-mx\nS: 250 PIPELINING\nC: MAIL *\nC: RCPT *\nC: DATA\n"
        f"S: 250 ok\nS: 250 ok\nS: 354 go\nS: <wait 0>\nS: 250 {'x' * 5_000_000}\nS: <deaf>"
    )
    outcome = smtp.attempt(body=BIG)
    check(outcome, "body")
    assert "floods" in outcome.summary


def test_a_connection_lost_amid_the_body_is_no_unknown(smtp):
    smtp.play("closes-at-body")
    outcome, _ = attempt(smtp, "body", body=BIG)
    check(outcome, "body")


def test_a_refusal_amid_the_body_is_heard(smtp):
    smtp.play("says-no-at-body")
    outcome, _ = attempt(smtp, "body", body=BIG)
    assert (verdicts(outcome), outcome.blame) == ([FAILED], Blame.EMAIL)
    assert outcome.results[0][1].code == 552


@pytest.mark.parametrize(
    ("dialog", "stage"), [("endless-banner-slow", "banner"), ("trickle", "banner"), ("trickle-dot", "dot")]
)
def test_the_deadline_is_for_the_whole_reply(smtp, dialog, stage):
    smtp.play(dialog)
    outcome, took = attempt(smtp, stage, HASTY)
    check(outcome, stage)
    assert "did not answer in time" in outcome.summary
    assert took < 1.5


def test_a_slow_reply_within_the_deadline_is_fine(smtp):
    smtp.play("slow-but-fine")
    smtp.open()


@pytest.mark.parametrize(
    ("dialog", "stage", "words"),
    [
        ("endless-banner-fast", "banner", "too many lines"),
        ("endless-line", "banner", "too long"),
        ("long-line", "banner", "too long"),
        ("garbage-banner", "banner", "HTTP/1.1"),
        ("garbage-binary", "banner", "not an SMTP reply"),
        ("garbage-low-code", "banner", "120"),
        ("garbage-codes", "mail", "550 or not"),
        ("garbage-dot", "dot", "taken, I think"),
    ],
)
def test_what_is_no_smtp_ends_the_connection(smtp, dialog, stage, words):
    smtp.play(dialog)
    outcome, took = attempt(smtp, stage)
    check(outcome, stage)
    assert words in outcome.summary
    assert outcome.summary.isprintable()
    assert took < 3


def test_bare_newlines_end_lines_too(smtp):
    smtp.play("bare-newlines")
    assert smtp.open().usable


def test_control_characters_do_not_come_through(smtp):
    smtp.play("control-characters")
    outcome = smtp.attempt()
    reply = outcome.results[0][1]
    assert reply.text == "bell\ufffd esc\ufffd[31m bad\ufffd utf8"
    assert outcome.summary.isprintable()


@pytest.mark.parametrize(("dialog", "pause"), [("421-at-connect", 180), ("554-at-connect", None)])
def test_a_refusal_at_connect_is_the_configs(smtp, dialog, pause):
    smtp.play(dialog)
    outcome, _ = attempt(smtp, "banner")
    check(outcome, "banner")
    assert (outcome.pause and outcome.pause.seconds) == pause
    assert str(outcome.results[0][1].code) == dialog[:3]


def test_a_421_amid_the_envelope_ends_it(smtp):
    smtp.play("421-at-rcpt")
    connection = smtp.open()
    outcome = smtp.deliver(connection)
    check(outcome, "rcpt")
    assert outcome.results[0][1].code == 421
    assert not connection.usable


def test_an_idle_connection_that_the_server_closed_is_not_alive(smtp):
    smtp.play("421-when-idle")
    connection = smtp.open()
    assert connection.is_alive()
    assert verdicts(smtp.deliver(connection)) == [SENT]
    deadline = time.monotonic() + 3
    while connection.is_alive() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not connection.is_alive()


def test_an_idle_connection_that_lost_its_server_is_not_alive(smtp):
    server = smtp.play_text("S: 220 mx\nC: EHLO *\nS: 250 mx\nS: <close>")
    connection = smtp.open()
    server.finish()
    assert not connection.is_alive()
    assert connection.usable  # nobody has noticed yet
    outcome = smtp.deliver(connection)
    assert verdicts(outcome) == [RETRY]
    assert not connection.usable


def test_it_says_when_the_port_may_want_tls(smtp):
    smtp.play("stops-at-banner")
    with pytest.raises(SmtpError) as caught:
        smtp.open(HASTY)
    assert "implicit TLS?" in str(caught.value)


@pytest.mark.parametrize("stage", ["mail", "dot"])
def test_it_can_be_cut_off_from_another_thread(smtp, stage):
    smtp.play(f"stops-at-{stage}")
    connection = smtp.open()
    watchdog = threading.Timer(0.2, connection.abort)
    watchdog.start()
    started = time.monotonic()
    outcome = smtp.deliver(connection)
    took = time.monotonic() - started
    watchdog.join()
    check(outcome, stage)
    assert "cut off from our side" in outcome.summary
    assert 0.15 < took < 2
    assert not connection.usable


def test_it_can_be_cut_off_while_it_writes(smtp):
    smtp.play("stops-at-body")
    connection = smtp.open()
    watchdog = threading.Timer(0.2, connection.abort)
    watchdog.start()
    outcome = smtp.deliver(connection, body=BIG)
    watchdog.join()
    check(outcome, "body")
    assert "cut off from our side" in outcome.summary


def test_cutting_off_a_closed_connection_does_nothing(smtp):
    smtp.play("pipelined")
    connection = smtp.open()
    smtp.deliver(connection)
    connection.quit()
    connection.abort()
    connection.close()
    assert not connection.is_alive()


def test_the_answer_to_the_dot_is_read_though_the_next_envelope_could_not_be_written(smtp):
    """The server takes the first email and reads no further: the second one's envelope jams, the first is sent."""
    smtp.play_text(
        "S: 220 mx\nC: EHLO *\nS: 250-mx\nS: 250 PIPELINING\nC: MAIL *\nC: RCPT *\nC: DATA\n"
        "S: 250 ok\nS: 250 ok\nS: 354 go\nC: <body>\nS: 250 2.0.0 first taken\nS: <deaf>"
    )
    connection = smtp.open(HASTY)
    connection.send_envelope(envelope())
    assert connection.read_envelope().ready
    crowd = envelope(*(f"r{number}-{'x' * 500}@test" for number in range(20_000)))
    connection.send_body(BODY, crowd)
    assert connection.read_final().text == "first taken"
    assert not connection.usable
    with pytest.raises(SmtpError) as caught:
        connection.read_envelope()
    assert (caught.value.stage, caught.value.reason) == (Stage.MAIL, Reason.TIMEOUT)
