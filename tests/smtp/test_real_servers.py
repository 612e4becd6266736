"""Our client against aiosmtpd, so that it does not only talk to servers of ours, and against the sink."""

import json
import subprocess
import sys
import threading
import time

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from services.smtp import Connection, Endpoint, Envelope, Reason, SmtpError
from tests.support.playhouse import BODY, PATIENT
from tests.support.sink import Hooks, Sink


class Keeper:
    def __init__(self):
        self.mail = []

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802 - aiosmtpd's name
        if address.startswith("nobody"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 - aiosmtpd's name
        self.mail.append(
            (envelope.mail_from, envelope.rcpt_tos, envelope.original_content, envelope.smtp_utf8)
        )
        return "250 2.0.0 kept"


class AnyPort(Controller):
    """On a port that the system chose, which the original would not know."""

    def _trigger_server(self):
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@pytest.fixture
def serve():
    running = []

    def start(**options):
        keeper = Keeper()
        controller = AnyPort(keeper, hostname="127.0.0.1", port=0, **options)
        controller.start()
        running.append(controller)
        keeper.port = controller.port
        return keeper

    yield start
    for controller in running:
        controller.stop()


def connect(port, **changes):
    facts = {"tls": "none", "verify_tls": True, "username": None, "password": None, "allow_private": True}
    return Connection.open(Endpoint("127.0.0.1", port, helo="relay.test", **{**facts, **changes}), PATIENT)


def send(connection, envelope, body):
    connection.send_envelope(envelope)
    replies = connection.read_envelope()
    assert replies.ready
    connection.send_body(body)
    return replies, connection.read_final()


def test_aiosmtpd_gets_what_was_sent(serve):
    server = serve()
    connection = connect(server.port)
    body = b"Subject: hi\r\n\r\n.dot\r\n..\r\nend\r\n"
    for number in range(3):
        mail = Envelope("a@test.example", ("b@test.example", "nobody@test.example"), len(body))
        replies, final = send(connection, mail, body)
        assert [reply.code for reply in replies.rcpts] == [250, 550]
        assert (final.text, connection.used) == ("kept", number + 1)
    connection.quit()
    assert server.mail == [("a@test.example", ["b@test.example"], body, False)] * 3


def test_aiosmtpd_gets_international_mail(serve):
    server = serve(enable_SMTPUTF8=True)
    connection = connect(server.port)
    assert connection.smtputf8
    body = "Subject: grüße\r\n\r\nzu dir\r\n".encode()
    mail = Envelope("jörg@exämple.test", ("δοκιμή@test.example",), len(body), eightbit=True, smtputf8=True)
    assert send(connection, mail, body)[1].ok
    connection.quit()
    assert server.mail == [("jörg@exämple.test", ["δοκιμή@test.example"], body, True)]


def test_aiosmtpd_without_smtputf8_is_not_tried(serve):
    connection = connect(serve(enable_SMTPUTF8=False).port)
    with pytest.raises(SmtpError) as caught:
        connection.send_envelope(Envelope("ä@test.example", ("b@test.example",), 1, smtputf8=True))
    assert caught.value.reason is Reason.UNSUPPORTED
    connection.quit()


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_aiosmtpd_takes_our_login_through_starttls(serve, ca, mechanism):
    def authenticate(server, session, envelope, name, data):
        right = (data.login, data.password) == (b"user", "süß".encode())
        return AuthResult(success=right, handled=False)

    server = serve(
        tls_context=ca.server("127.0.0.1"),
        require_starttls=True,
        authenticator=authenticate,
        auth_required=True,
        auth_exclude_mechanism=[other for other in ("PLAIN", "LOGIN") if other != mechanism],
    )
    secure = {"tls": "starttls", "ca_file": ca.file, "username": "user"}
    connection = connect(server.port, password="süß", **secure)
    mail = Envelope("a@test.example", ("b@test.example",), len(BODY))
    assert send(connection, mail, BODY)[1].ok
    connection.quit()
    with pytest.raises(SmtpError) as caught:
        connect(server.port, password="wrong", **secure)
    assert (caught.value.reason, caught.value.reply.code) == (Reason.AUTH, 535)


# The sink


MAIL = Envelope("a@test", ("b@test",), len(BODY))


def test_the_sink_keeps_what_it_is_sent():
    with Sink() as sink:
        connection = connect(sink.port)
        body = b"Message-ID: <17@test>\r\n\r\n.\r\n..x\r\n"
        send(connection, MAIL, body)
        connection.quit()
        [message] = sink.wait_for(1)
    assert (message.mail_from, message.rcpt_tos, message.data) == ("a@test", ["b@test"], body)
    assert message.message_id == "<17@test>"
    assert abs(message.at - time.time()) < 5
    assert (sink.accepted, sink.connections, sink.peak) == (1, 1, 1)


def test_the_sink_answers_as_told():
    hooks = Hooks(
        on_mail=lambda sender: "550 5.1.8 no" if sender == "bad@test" else None,
        on_data=lambda message: "452 4.3.1 full" if b"full" in message.data else None,
    )
    with Sink(hooks=hooks) as sink:
        sink.reply_to_rcpt("b@test", "450 4.2.0 later")
        connection = connect(sink.port)
        connection.send_envelope(MAIL)
        assert connection.read_envelope().rcpts[0].code == 450
        sink.reply_to_rcpt("b@test", None)
        assert send(connection, MAIL, b"full\r\n")[1].code == 452
        connection.send_envelope(Envelope("bad@test", ("b@test",), 1))
        assert connection.read_envelope().mail.enhanced == "5.1.8"
        assert send(connection, MAIL, BODY)[1].ok
        connection.quit()
        assert [message.data for message in sink.messages] == [BODY]


@pytest.mark.parametrize(("reply", "code"), [("421 4.3.2 busy", 421), ("<close>", None)])
def test_the_sink_can_turn_away(reply, code):
    with Sink(hooks=Hooks(on_connect=lambda: reply)) as sink:
        with pytest.raises(SmtpError) as caught:
            connect(sink.port)
        assert (caught.value.reply and caught.value.reply.code) == code


def test_the_sink_wants_its_login_through_tls(ca):
    with Sink(auth=("user", "word"), tls=ca.server("127.0.0.1"), implicit_tls=True) as sink:
        secure = {"tls": "implicit", "ca_file": ca.file}
        with pytest.raises(SmtpError) as caught:
            connect(sink.port, username="user", password="wrong", **secure)
        assert caught.value.reply.code == 535
        stranger = connect(sink.port, **secure)
        stranger.send_envelope(MAIL)
        assert stranger.read_envelope().mail.code == 530
        stranger.close()
        friend = connect(sink.port, username="user", password="word", **secure)
        assert send(friend, MAIL, BODY)[1].ok
        friend.quit()


def test_the_sink_serves_without_pipelining_and_many_at_once():
    with Sink(pipelining=False) as sink:

        def work():
            connection = connect(sink.port)
            assert not connection.pipelining
            for _ in range(20):
                send(connection, MAIL, BODY)
            connection.quit()

        threads = [threading.Thread(target=work) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(sink.wait_for(100)) == 100
        assert sink.connections == 5


def test_the_sink_as_a_process_logs_before_it_answers(tmp_path):
    log = tmp_path / "accepted.jsonl"
    command = [sys.executable, "-m", "tests.support.sink", "--port", "0", "--log", str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            port = int(process.stdout.readline().split()[-1])
            connection = connect(port)
            send(connection, MAIL, b"Message-ID: <1@test>\r\n\r\nhi\r\n")
            process.kill()  # the 250 is in, so the line must be
            connection.close()
        finally:
            process.kill()
    [fact] = [json.loads(line) for line in log.read_text().splitlines()]
    assert (fact["mail_from"], fact["rcpt_tos"], fact["message_id"]) == ("a@test", ["b@test"], "<1@test>")
