"""Every active SMTP config: its DNS, connection, TLS and login, tried as a delivery would. Sends nothing."""

from __future__ import annotations

from collections.abc import Iterator

from models.smtp_config import Health, SmtpConfig
from services.doctor.check import Check, fail, ok, warn
from services.endpoints import endpoint_of
from services.presence import running
from services.readiness import hold_of
from services.relay import Relay
from services.smtp import Connection, Deadlines, Reason, SmtpError
from utils.clock import DAY

_DEADLINES = Deadlines(connect=10, greeting=15)
_CERTIFICATE_DAYS = 14
_ADVICE = {
    Reason.DNS: "check smtp_host, and this machine's resolver",
    Reason.REFUSED: "check smtp_port, and that a firewall lets this machine out to it",
    Reason.TIMEOUT: "check smtp_port; many networks block 25, and 587 or 465 are open",
    Reason.CLOSED: "the server hung up: check smtp_port and the TLS mode",
    Reason.TLS: "check use_tls (STARTTLS, 587) and use_ssl (465), the certificate's name, and this machine's clock",
    Reason.PROTOCOL: "what answers there is no SMTP server: check smtp_host and smtp_port",
    Reason.PRIVATE_ADDRESS: "give the config a public host, or set ALLOW_PRIVATE_HOSTS=on",
    Reason.AUTH: "check username and password; many providers want an app password",
    Reason.UNSUPPORTED: "the server lacks what the config asks for: check the port, use_tls and username",
    Reason.REJECTED: "the server's own words say why; it may limit or block this machine",
}
_NO_MAIL = "add an account: python app.py configs add"


def check(relay: Relay, now: int) -> Iterator[Check]:
    configs = list(SmtpConfig.select().where(SmtpConfig.active).order_by(SmtpConfig.id))
    if not configs:
        yield warn("configs", "no SMTP config is active: no mail can be delivered", _NO_MAIL)
    elif all(config.sandbox for config in configs):
        yield warn("configs", "only the sandbox is there: it catches mail, and delivers none", _NO_MAIL)
    for config in configs:
        yield _config(relay, config, now)


def _config(relay: Relay, config: SmtpConfig, now: int) -> Check:
    name = f"config {config.id} ({config.name})"
    if config.sandbox and relay.policy.sandbox_port is None:
        return warn(name, "SANDBOX=off, so nothing answers there", "deactivate it, or set SANDBOX=on")
    if config.sandbox and not running(relay.policy.data_dir):
        return ok(name, "not tried: the sandbox runs only while the relay does")
    steps: list[str] = []
    try:
        connection = Connection.open(
            endpoint_of(relay, config), _DEADLINES, lambda step, detail: steps.append(f"{step}: {detail}")
        )
    except SmtpError as error:
        return fail(
            name, "; ".join([*steps, f"{error.stage} failed: {error.detail}"]), _ADVICE.get(error.reason, "")
        )
    try:
        return _weakness(name, config, connection, steps, now)
    finally:
        connection.quit()


def _weakness(name: str, config: SmtpConfig, connection: Connection, steps: list[str], now: int) -> Check:
    """The config works: what may soon, or should not."""
    tls = connection.tls_info
    if tls is not None:
        days = (tls.not_after - now) // DAY
        steps.append(f"the certificate ends in {days} days")
        if days < _CERTIFICATE_DAYS:
            return warn(name, "; ".join(steps), "whoever runs the server must renew its certificate")
        if not config.verify_tls:
            return warn(name, "; ".join(steps), "its certificate is not verified: set verify_tls")
    elif config.username:
        return warn(name, "; ".join(steps), "the password travels unencrypted: set use_tls or use_ssl")
    health = Health.get_or_none(Health.smtp_config_id == config.id)
    hold = hold_of(config, health, now) if health else None
    if hold is not None and hold.kind in ("paused", "provider_pause", "breaker"):
        detail = f"it answers, but rests: {hold.kind}, {hold.detail}"
        return warn(
            name, "; ".join([*steps, detail]), f"resume it: POST /api/smtp-configs/{config.id}/resume"
        )
    return ok(name, "; ".join(steps))
