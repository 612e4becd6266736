"""From a fresh TCP connection to one that takes mail: TLS, banner, EHLO, STARTTLS, AUTH."""

from __future__ import annotations

from . import tls
from .auth import log_in
from .capabilities import Capabilities, parse_ehlo
from .dial import OnStep
from .endpoint import Endpoint
from .envelope import check_address
from .errors import Reason, SmtpError, Stage
from .reply import Reply
from .wire import Wire


def greet(wire: Wire, endpoint: Endpoint, limit: float, on_step: OnStep) -> Capabilities:
    check_address(endpoint.helo)
    if endpoint.tls == "implicit":
        _encrypt(wire, endpoint, limit, Stage.CONNECT, on_step)
    on_step("banner", str(_read_banner(wire, endpoint, limit)))
    capabilities = _say_hello(wire, endpoint.helo, limit, on_step)
    if endpoint.tls == "starttls":
        capabilities = _upgrade(wire, endpoint, capabilities, limit, on_step)
    if endpoint.username is not None:
        on_step("auth", f"logged in by {log_in(wire, capabilities, endpoint, limit)}")
    return capabilities


def _read_banner(wire: Wire, endpoint: Endpoint, limit: float) -> Reply:
    try:
        reply = wire.read_reply(limit, Stage.BANNER)
    except SmtpError as error:
        if error.reason is Reason.TIMEOUT and endpoint.tls != "implicit":
            error.detail += "; does this port want implicit TLS?"  # then each side waits for the other
        raise
    return _accepted(wire, reply, Stage.BANNER)


def _say_hello(wire: Wire, name: str, limit: float, on_step: OnStep) -> Capabilities:
    reply = wire.command(f"EHLO {name}\r\n".encode(), limit, Stage.EHLO)
    if reply.permanent:  # a server from before EHLO (RFC 5321 4.1.4)
        reply = _accepted(wire, wire.command(f"HELO {name}\r\n".encode(), limit, Stage.EHLO), Stage.EHLO)
        on_step("ehlo", "HELO only")
        return Capabilities()
    capabilities = parse_ehlo(_accepted(wire, reply, Stage.EHLO))
    on_step("ehlo", ", ".join(capabilities.keywords) or "no extensions")
    return capabilities


def _upgrade(
    wire: Wire, endpoint: Endpoint, can: Capabilities, limit: float, on_step: OnStep
) -> Capabilities:
    """What was said before TLS is forgotten (RFC 3207 4.2). No offer is a failure: someone on the way may
    have cut it out."""
    if "STARTTLS" not in can.keywords:
        raise wire.fail(Stage.STARTTLS, Reason.UNSUPPORTED, "the server does not offer STARTTLS")
    _accepted(wire, wire.command(b"STARTTLS\r\n", limit, Stage.STARTTLS), Stage.STARTTLS)
    _encrypt(wire, endpoint, limit, Stage.STARTTLS, on_step)
    return _say_hello(wire, endpoint.helo, limit, on_step)


def _encrypt(wire: Wire, endpoint: Endpoint, limit: float, stage: Stage, on_step: OnStep) -> None:
    try:
        context = tls.context_for(endpoint)
    except OSError as error:
        raise wire.fail(stage, Reason.TLS, f"cannot read the certificate authorities: {error}") from error
    wire.start_tls(context, tls.server_name(endpoint), limit, stage)
    info = wire.tls_info()
    assert info is not None
    on_step("tls", f"{info.version} {info.cipher}, certificate of {info.subject}")


def _accepted(wire: Wire, reply: Reply, stage: Stage) -> Reply:
    if reply.ok:
        return reply
    raise wire.fail(stage, Reason.REJECTED, f"the server refused: {reply}", reply)
