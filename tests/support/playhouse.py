"""Plays dialogs: `play("name")` starts a scripted server, `open()` connects our client to it, and `end()`
raises when the client did not keep to the dialog."""

from __future__ import annotations

from pathlib import Path

from services.outcome import decide
from services.smtp import Connection, Deadlines, Endpoint, Envelope, SmtpError
from tests.support.scripted_smtp import ScriptedServer

DIALOGS = Path(__file__).parent.parent / "smtp" / "dialogs"
PATIENT = Deadlines(connect=5, greeting=5, mail=5, rcpt=5, data_init=5, data_block=5, data_done=5)
HASTY = Deadlines(connect=0.3, greeting=0.3, mail=0.3, rcpt=0.3, data_init=0.3, data_block=0.3, data_done=0.3)
BODY = b"Subject: hi\r\n\r\nhello\r\n"


def envelope(*recipients, size=40, **more):
    return Envelope("a@test", recipients or ("b@test",), size, **more)


class Playhouse:
    def __init__(self):
        self.server = None
        self.connections = []

    def play(self, name, **options):
        self.play_text((DIALOGS / f"{name}.dialog").read_text(), **options)
        return self.server

    def play_text(self, text, **options):
        self.server = ScriptedServer(text, **options).__enter__()
        return self.server

    def endpoint(self, **changes):
        facts = {
            "host": "127.0.0.1",
            "port": self.server.port,
            "tls": "none",
            "verify_tls": True,
            "username": None,
            "password": None,
            "allow_private": True,
            "helo": "relay.test",
        }
        return Endpoint(**{**facts, **changes})

    def open(self, deadlines=PATIENT, on_step=lambda name, detail: None, **changes):
        connection = Connection.open(self.endpoint(**changes), deadlines, on_step)
        self.connections.append(connection)
        return connection

    def deliver(self, connection, mail=None, body=BODY):
        """One transaction, as a worker does it, up to the decision."""
        mail = mail or envelope()
        replies = final = error = None
        dot_sent = False
        try:
            connection.send_envelope(mail)
            replies = connection.read_envelope()
            if replies.ready:
                dot_sent = True
                connection.send_body(body)
                final = connection.read_final()
            elif replies.must_end_data:
                connection.refuse_body()
        except SmtpError as failure:
            error = failure
        return decide(len(mail.recipients), envelope=replies, final=final, error=error, dot_sent=dot_sent)

    def attempt(self, mail=None, body=BODY, **options):
        """Connect and deliver, up to the decision."""
        mail = mail or envelope()
        try:
            connection = self.open(**options)
        except SmtpError as error:
            return decide(len(mail.recipients), envelope=None, final=None, error=error, dot_sent=False)
        return self.deliver(connection, mail, body)

    def end(self):
        for connection in self.connections:
            connection.close()
        if self.server is not None:
            try:
                self.server.finish()
            finally:
                self.server.__exit__(None, None, None)
