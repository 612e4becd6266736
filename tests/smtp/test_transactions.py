"""Mail transactions, one after the other on one connection."""

import socket

import pytest

from services.outcome import Blame, Verdict
from services.smtp import Connection, Endpoint, Envelope, Reason, SmtpError, Stage
from tests.support.playhouse import BODY, PATIENT, envelope
from tests.support.sink import Sink

SENT, RETRY, FAILED, AGAIN = Verdict.SENT, Verdict.RETRY, Verdict.FAILED, Verdict.AGAIN


def verdicts(outcome):
    return [verdict for verdict, _ in outcome.results]


def send(connection, mail=None, then=None, body=BODY):
    """The second half of a transaction whose envelope is on its way."""
    replies = connection.read_envelope()
    assert replies.ready
    connection.send_body(body, then)
    return connection.read_final()


def test_it_pipelines_the_envelope_and_says_goodbye(smtp):
    server = smtp.play("pipelined")
    connection = smtp.open()
    assert verdicts(smtp.deliver(connection)) == [SENT]
    assert (connection.used, connection.usable) == (1, True)
    connection.quit()
    assert not connection.usable
    server.finish()  # nobody waits for its answer to a QUIT
    assert server.bodies == [BODY]
    assert server.received[-1] == "QUIT"


def test_it_sends_no_body_before_the_354(smtp):
    smtp.play("body-waits-for-354")
    assert verdicts(smtp.attempt()) == [SENT]


def test_it_asks_one_by_one_without_pipelining(smtp):
    smtp.play("one-by-one")
    connection = smtp.open()
    assert not connection.pipelining
    assert verdicts(smtp.deliver(connection, envelope("b@test", "c@test"))) == [SENT, FAILED]
    assert verdicts(smtp.deliver(connection)) == [SENT]
    assert connection.used == 2


@pytest.mark.parametrize(
    ("dialog", "verdict"), [("one-by-one-mail-refused", FAILED), ("one-by-one-rcpt-refused", RETRY)]
)
def test_it_resets_a_transaction_that_got_nowhere(smtp, dialog, verdict):
    smtp.play(dialog)
    connection = smtp.open()
    assert verdicts(smtp.deliver(connection)) == [verdict]
    assert verdicts(smtp.deliver(connection)) == [SENT]


def test_a_reset_by_hand_is_not_repeated(smtp):
    smtp.play("one-by-one-mail-refused")
    connection = smtp.open()
    smtp.deliver(connection)
    connection.reset()
    assert verdicts(smtp.deliver(connection)) == [SENT]


@pytest.mark.parametrize("keyword", ["PIPELINING", "HELP"])
def test_a_refused_reset_ends_the_connection(smtp, keyword):
    """The pipelined DATA behind it must not be taken for the next email's."""
    piped = "C: RCPT *\nC: DATA\n" if keyword == "PIPELINING" else ""
    again = "C: RSET\n" + ("C: MAIL *\n" + piped if piped else "")
    smtp.play_text(
        f"S: 220 mx\nC: EHLO *\nS: 250-mx\nS: 250 {keyword}\nC: MAIL *\n{piped}S: 550 5.1.8 no\n"
        + ("S: 503 no\nS: 503 no\n" if piped else "")
        + f"{again}S: 502 no reset\nC: <eof>"
    )
    connection = smtp.open()
    assert verdicts(smtp.deliver(connection)) == [FAILED]
    outcome = smtp.deliver(connection)
    assert verdicts(outcome) == [RETRY]
    assert outcome.summary == "rset: the server refused RSET: 502 no reset"
    assert not connection.usable


def test_the_next_envelope_leaves_with_the_dot(smtp):
    server = smtp.play("next-envelope-rides-along")
    connection = smtp.open()
    connection.send_envelope(envelope())
    assert send(connection, then=envelope("c@test")).text == "first taken"
    refused = connection.read_envelope()
    assert not refused.ready and not refused.must_end_data
    assert [reply.code for reply in refused.rcpts] == [550]
    assert smtp.deliver(connection, envelope("d@test")).summary == "250 2.0.0 third taken"
    assert len(server.bodies) == 2


@pytest.mark.parametrize(
    ("unfit", "error"),
    [
        (envelope("c@test", smtputf8=True), SmtpError),
        (envelope("c@test", eightbit=True), SmtpError),
        (envelope("c@test>\r\nRSET"), ValueError),
    ],
)
def test_an_unfit_next_envelope_touches_nobody_else(smtp, unfit, error):
    smtp.play("then-unfit")
    connection = smtp.open()
    connection.send_envelope(envelope())
    assert send(connection, then=unfit).text == "first taken"
    with pytest.raises(error):
        connection.read_envelope()
    assert smtp.deliver(connection).summary == "250 2.0.0 third taken"


def test_the_next_envelope_waits_without_pipelining(smtp):
    smtp.play("then-one-by-one")
    connection = smtp.open()
    connection.send_envelope(envelope())
    assert send(connection, then=envelope("c@test")).text == "first taken"
    assert send(connection).text == "second taken"


def test_a_server_that_takes_one_email_only_defers_the_second(smtp):
    smtp.play("closes-after-first-of-two")
    connection = smtp.open()
    connection.send_envelope(envelope())
    assert send(connection, then=envelope("c@test")).text == "first taken"
    with pytest.raises(SmtpError) as caught:
        connection.read_envelope()
    assert (caught.value.stage, caught.value.reply.code) == (Stage.MAIL, 421)
    assert not connection.usable


def test_a_421_for_the_dot_is_an_answer_and_the_end(smtp):
    smtp.play("421-for-the-dot")
    connection = smtp.open()
    connection.send_envelope(envelope())
    assert send(connection, then=envelope("c@test")).code == 421
    assert not connection.usable
    with pytest.raises(SmtpError) as caught:  # at once, not after the deadline
        connection.read_envelope()
    assert caught.value.reason is Reason.CLOSED


def test_recipients_have_their_own_replies(smtp):
    smtp.play("mixed-recipients")
    outcome = smtp.attempt(envelope("b@test", "c@test", "d@test"))
    assert verdicts(outcome) == [RETRY, SENT, FAILED]
    assert [reply.code for _, reply in outcome.results] == [450, 250, 550]
    assert outcome.results[1][1].text == "taken"
    assert (outcome.blame, outcome.burns_retry, outcome.config_failure) == (Blame.RECIPIENT, True, False)


def test_too_many_recipients_go_in_a_second_transaction(smtp):
    smtp.play("too-many-recipients")
    connection = smtp.open()
    first = smtp.deliver(connection, envelope("b@test", "c@test", "d@test"))
    assert verdicts(first) == [SENT, AGAIN, AGAIN]
    assert not first.burns_retry
    assert verdicts(smtp.deliver(connection, envelope("c@test", "d@test"))) == [SENT, SENT]


def test_a_temporary_no_after_data_defers_and_the_connection_lives(smtp):
    smtp.play("452-after-data")
    connection = smtp.open()
    outcome = smtp.deliver(connection)
    assert (verdicts(outcome), outcome.burns_retry) == ([RETRY], True)
    assert verdicts(smtp.deliver(connection)) == [SENT]


def test_a_354_without_recipients_gets_the_lone_dot(smtp):
    server = smtp.play("354-without-recipients")
    connection = smtp.open()
    assert verdicts(smtp.deliver(connection)) == [FAILED]
    assert verdicts(smtp.deliver(connection, envelope("c@test"))) == [SENT]
    assert server.bodies == [b"", BODY]


def test_a_refused_mail_fails_the_email(smtp):
    smtp.play("mail-refused")
    outcome = smtp.attempt()
    assert (verdicts(outcome), outcome.blame) == ([FAILED], Blame.EMAIL)
    assert "permissions to send as" in outcome.summary


def test_a_spent_quota_pauses_the_config(smtp):
    smtp.play("quota-spent")
    outcome = smtp.attempt()
    assert (verdicts(outcome), outcome.blame, outcome.burns_retry) == ([RETRY], Blame.CONFIG, False)
    assert outcome.pause.seconds == 3600


def test_it_keeps_to_the_order_of_calls(smtp):
    smtp.play("354-without-recipients")
    connection = smtp.open()
    for call in (connection.read_envelope, connection.read_final, connection.refuse_body):
        with pytest.raises(RuntimeError):
            call()
    with pytest.raises(RuntimeError):
        connection.send_body(BODY)
    connection.send_envelope(envelope())
    with pytest.raises(RuntimeError):
        connection.send_envelope(envelope())
    assert not connection.is_alive()
    assert connection.read_envelope().must_end_data
    with pytest.raises(RuntimeError):
        connection.send_body(BODY)  # no recipient was accepted
    connection.refuse_body()
    assert verdicts(smtp.deliver(connection, envelope("c@test"))) == [SENT]


def test_it_uses_size_8bitmime_and_smtputf8(smtp):
    server = smtp.play("extensions")
    connection = smtp.open()
    assert (connection.pipelining, connection.smtputf8, connection.eightbit) == (True, True, True)
    assert connection.max_size == 5000
    assert connection.capabilities["X-ODD"] == "a  b"
    connection.send_envelope(Envelope("ä@tëst", ("你好@test",), 40, eightbit=True, smtputf8=True))
    final = send(connection, body="Subject: é\r\n\r\n".encode())
    assert (final.enhanced, final.lines, final.text) == ("2.0.0", ("queued", "as", "17"), "queued as 17")
    assert server.bodies == ["Subject: é\r\n\r\n".encode()]


@pytest.mark.parametrize(
    ("mail", "reason"),
    [
        (envelope(smtputf8=True), Reason.UNSUPPORTED),
        (envelope(eightbit=True), Reason.UNSUPPORTED),
    ],
)
def test_it_sends_nothing_that_the_server_cannot_take(smtp, mail, reason):
    smtp.play("no-extensions")
    connection = smtp.open()
    with pytest.raises(SmtpError) as caught:
        connection.send_envelope(mail)
    assert (caught.value.stage, caught.value.reason) == (Stage.MAIL, reason)
    assert connection.usable and connection.is_alive()


@pytest.mark.parametrize(
    "mail",
    [
        envelope("b@test>\r\nRCPT TO:<victim@test"),
        envelope("b@test\r\nDATA"),
        envelope("b@test\nDATA"),
        envelope("b@test\0"),
        envelope("b c@test"),
        envelope("b@test> ORCPT=x"),
        envelope('"b>c"@test'),
        envelope('"b" c@test'),
        envelope("b\u2028@test"),
        envelope("b\u0085@test"),
        envelope("b\u00a0c@test", smtputf8=False),
        envelope("ä@test"),
        envelope(""),
        Envelope("a@test", (), 1),
        Envelope("a@test> SIZE=1\r\nQUIT", ("b@test",), 1),
    ],
)
def test_it_refuses_addresses_that_would_break_the_command(smtp, mail):
    smtp.play("no-extensions")
    connection = smtp.open()
    with pytest.raises(ValueError, match=r"not an address|needs a recipient|codec can't encode"):
        connection.send_envelope(mail)
    assert connection.is_alive()


def test_it_takes_the_null_sender_and_quoted_local_parts(smtp):
    smtp.play("null-sender")
    assert verdicts(smtp.attempt(Envelope("", ('"odd \\" one"@test',), 1))) == [SENT]


def test_it_measures_an_email_against_the_servers_size(smtp):
    smtp.play("small-server")
    connection = smtp.open()
    outcome = smtp.deliver(connection, envelope(size=1001))
    assert (verdicts(outcome), outcome.blame) == ([FAILED], Blame.EMAIL)
    assert "1001" in outcome.summary and "1000" in outcome.summary
    assert verdicts(smtp.deliver(connection, envelope(size=1000))) == [SENT]


def test_a_server_without_ehlo_gets_helo(smtp):
    smtp.play("helo")
    connection = smtp.open()
    assert connection.capabilities == {}
    assert verdicts(smtp.deliver(connection)) == [SENT]


@pytest.mark.parametrize(
    "body",
    [
        b".\r\n",
        b"..\r\n",
        b"a\r\n.\r\nb\r\n",
        b"a\r\n..\r\n.b\r\n",
        b".a\r\n\r\n.\r\n.\r\n",
        b"\r\n",
        b"\r\n.\r\n",
        b"x" * 300_000 + b"\r\n.dot\r\n",
        bytes(range(14, 256)) + b"\r\n",
    ],
)
def test_dots_arrive_as_they_were(smtp, body):
    server = smtp.play("pipelined")
    connection = smtp.open()
    assert verdicts(smtp.deliver(connection, body=body)) == [SENT]
    connection.quit()
    assert server.bodies == [body]


@pytest.mark.parametrize(
    ("body", "arrives"),
    [
        (b"", b""),
        (b"no end", b"no end\r\n"),
        (b"a\nb\n", b"a\r\nb\r\n"),
        (b"a\n.\nMAIL FROM:<x@test>\r\n", b"a\r\n.\r\nMAIL FROM:<x@test>\r\n"),
        (b"a\r.\rb\r\n", b"a\r\n.\r\nb\r\n"),
        (b"a\n.\r\nb", b"a\r\n.\r\nb\r\n"),
        (b"ends in cr\r", b"ends in cr\r\n"),
    ],
)
def test_line_ends_are_made_whole(smtp, body, arrives):
    server = smtp.play("pipelined")
    connection = smtp.open()
    assert verdicts(smtp.deliver(connection, body=body)) == [SENT]
    connection.quit()
    assert server.bodies == [arrives]


def test_a_big_email_arrives_whole_with_the_next_envelope_behind_it():
    body = (
        b"Subject: big\r\n\r\n" + b".line of some length\r\n" * 1_000_000
    )  # the kernel's buffers are smaller
    with Sink() as sink:
        endpoint = Endpoint("127.0.0.1", sink.port, "none", True, None, None, True, "relay.test")
        connection = Connection.open(endpoint, PATIENT)
        connection.send_envelope(envelope(size=len(body)))
        assert send(connection, then=envelope("c@test"), body=body).ok
        assert send(connection).ok
        connection.quit()
        first, second = sink.wait_for(2)
    assert first.data == body
    assert (second.data, second.rcpt_tos) == (BODY, ["c@test"])


def test_a_server_that_answers_while_it_should_be_reading_does_not_lock_us_up(smtp):
    """It answers each of 1,500 recipients at length, and reads on only when we have taken its answers in."""
    count, buffers = 1500, 64 * 1024
    lines = ["S: 220 mx", "C: EHLO *", "S: 250-mx", "S: 250 PIPELINING", "C: MAIL *", "S: 250 ok"]
    lines += ["C: RCPT *", "S: 250 2.1.5 " + "long " * 200] * count
    lines += ["C: DATA", "S: 354 go", "C: <body>", "S: 250 taken"]
    smtp.play_text("\n".join(lines), buffers=buffers)
    connection = smtp.open()
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        connection._wire._sock.setsockopt(socket.SOL_SOCKET, option, buffers)
    recipients = tuple(f"recipient-{number:05d}-{'x' * 300}@test" for number in range(count))
    assert set(verdicts(smtp.deliver(connection, envelope(*recipients)))) == {SENT}
