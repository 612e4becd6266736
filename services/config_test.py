"""Try an SMTP config as delivery would: connect, agree on TLS, log in, and, if asked to, send one email."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from models.database import write
from models.smtp_config import SmtpConfig
from services import quota
from services.endpoints import endpoint_of, logged_in
from services.errors import FieldError, InvalidInputError
from services.message_ids import new_message_id
from services.relay import Relay
from services.smtp import Connection, Deadlines, Endpoint, Envelope, Reason, SmtpError, Stage, TlsInfo
from utils.addresses import Address, AddressError, envelope, parse_address
from utils.clock import DAY, MINUTE, iso, monotonic
from utils.mime import Mail, build, needs_smtputf8

# Someone waits for the answer.
_DEADLINES = Deadlines(
    connect=10.0, greeting=15.0, mail=15.0, rcpt=15.0, data_init=15.0, data_block=15.0, data_done=30.0
)
_DIAL_STEPS = {Reason.DNS: "dns", Reason.PRIVATE_ADDRESS: "dns", Reason.TLS: "tls"}
_STEPS = {Stage.STARTTLS: "tls", Stage.BANNER: "banner", Stage.EHLO: "ehlo", Stage.AUTH: "auth"}


class Steps:
    """What was tried, in order, and how long each took."""

    def __init__(self, told: Callable[[dict[str, Any]], None] = lambda step: None) -> None:
        self._told = told
        self.done: list[dict[str, Any]] = []
        self._since = monotonic()

    def passed(self, name: str, detail: str) -> None:
        self._add(name, True, detail)

    def failed(self, name: str, detail: str) -> None:
        self._add(name, False, detail)

    def _add(self, name: str, ok: bool, detail: str) -> None:
        now = monotonic()
        self.done.append({"step": name, "ok": ok, "ms": round((now - self._since) * 1_000), "detail": detail})
        self._told(self.done[-1])
        self._since = now


def run_test(
    relay: Relay,
    config: SmtpConfig,
    send_to: str | None,
    now: int,
    password: str | None = None,
    told: Callable[[dict[str, Any]], None] = lambda step: None,
) -> dict[str, Any]:
    """{ok, steps: [{step, ok, ms, detail}], capabilities, certificate}. A failed step ends it.

    `password`: to try instead of the stored one. `told` hears of each step when it is done.
    """
    recipient = check_recipient(send_to)
    steps = Steps(told)
    capabilities: dict[str, str] = {}
    certificate = None
    try:
        connection = _connected(relay, config, password, steps)
        try:
            capabilities = dict(connection.capabilities)
            certificate = _certificate(connection.tls_info, now)
            if recipient is not None:
                _send(relay, config, connection, recipient, steps, now)
        finally:
            connection.quit()
    except SmtpError as exc:
        steps.failed(_step_of(exc), exc.detail)
    return {
        "ok": all(step["ok"] for step in steps.done),
        "steps": steps.done,
        "capabilities": capabilities,
        "certificate": certificate,
    }


def _connected(relay: Relay, config: SmtpConfig, password: str | None, steps: Steps) -> Connection:
    def connect(endpoint: Endpoint) -> Connection:
        return Connection.open(endpoint, _DEADLINES, steps.passed)

    if password is None:
        return logged_in(relay, config, connect)
    return connect(endpoint_of(relay, config, password))


def check_recipient(text: str | None) -> Address | None:
    """InvalidInputError when it is no address."""
    try:
        return parse_address(text) if text else None
    except AddressError as exc:
        raise InvalidInputError.of([FieldError("send_to", str(exc), "INVALID_EMAIL_FORMAT")]) from None


def _step_of(error: SmtpError) -> str:
    if error.stage is Stage.CONNECT:
        return _DIAL_STEPS.get(error.reason, "connect")
    return _STEPS.get(error.stage, "send")


def _certificate(tls: TlsInfo | None, now: int) -> dict[str, Any] | None:
    if tls is None:
        return None
    return {
        "subject": tls.subject, "issuer": tls.issuer, "expires_at": iso(tls.not_after),
        "days_left": (tls.not_after - now) // DAY, "tls": f"{tls.version} {tls.cipher}",
    }  # fmt: skip


def _send(
    relay: Relay, config: SmtpConfig, connection: Connection, recipient: Address, steps: Steps, now: int
) -> None:
    """It counts against the limits, which are the provider's, not ours to bend."""
    minute = now // MINUTE
    if not write(lambda: _reserve(config, minute, now)):
        steps.failed("send", "not sent: the limits of this config are used up")
        return
    try:
        sent = _converse(relay, config, connection, recipient, steps, now)
    except (SmtpError, ValueError) as exc:
        sent = isinstance(exc, SmtpError) and exc.stage is Stage.DOT
        steps.failed("send", exc.detail if isinstance(exc, SmtpError) else str(exc))
    if not sent:
        write(lambda: quota.charge(config.id, minute, -1, -1))


def _reserve(config: SmtpConfig, minute: int, now: int) -> bool:
    room = quota.room(config, now)
    if room == 0:
        return False
    quota.charge(config.id, minute, 1, 1)
    return True


def _converse(
    relay: Relay, config: SmtpConfig, connection: Connection, recipient: Address, steps: Steps, now: int
) -> bool:
    """Whether the server took it."""
    mail = _mail(relay, config, recipient, now)
    data = build(mail)
    people = [envelope(one, connection.smtputf8) for one in (config.email_address, recipient.email)]
    utf8 = needs_smtputf8(mail)
    connection.send_envelope(Envelope(people[0], (people[1],), len(data), smtputf8=utf8))
    replies = connection.read_envelope()
    if not replies.ready:
        if replies.must_end_data:
            connection.refuse_body()
        told = [one for one in (replies.mail, *replies.rcpts, replies.data) if one is not None]
        steps.failed("send", f"the server refused: {next((one for one in told if not one.ok), told[-1])}")
        return False
    connection.send_body(data)
    reply = connection.read_final()
    (steps.passed if reply.ok else steps.failed)("send", str(reply))
    return reply.ok


def _mail(relay: Relay, config: SmtpConfig, recipient: Address, now: int) -> Mail:
    return Mail(
        sender=Address(config.display_name, config.email_address),
        to=[recipient],
        cc=[],
        reply_to=[],
        subject="Test of an SMTP config",
        message_id=new_message_id(relay, now),
        date=now,
        seed=f"test.{config.id}.{now}",
        text="This email was sent to test an SMTP config. If you can read it, the config works.\n",
        html=None,
        headers=[],
        attachments=[],
    )
