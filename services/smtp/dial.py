"""A TCP connection to an endpoint, to no address that its owner may not use."""

from __future__ import annotations

import socket
from collections.abc import Callable

from utils.clock import monotonic
from utils.net import Address, is_private, resolve

from .endpoint import Target
from .errors import Reason, SmtpError, Stage

OnStep = Callable[[str, str], None]


def dial(endpoint: Target, limit: float, on_step: OnStep) -> tuple[socket.socket, Address]:
    """Resolve once, check every address, dial those same addresses in turn within `limit` seconds in all.

    One private address among public ones refuses the host: a rebinding DNS may give that one alone next time.
    """
    addresses = _addresses(endpoint)
    on_step("dns", ", ".join(address.ip for address in addresses))
    deadline = monotonic() + limit
    for left in range(len(addresses), 0, -1):
        address = addresses[-left]
        remaining = max(deadline - monotonic(), 0.001)
        try:
            # An address that swallows packets may take half of the time left: the next one has a chance too.
            return _connect(address, remaining if left == 1 else remaining / 2), address
        except OSError as error:
            failure = error
    tried = " or ".join(address.ip for address in addresses) + f" port {endpoint.port}"
    reason = Reason.TIMEOUT if isinstance(failure, TimeoutError) else Reason.REFUSED
    detail = f"no connection to {tried}: {failure.strerror or failure}"
    raise SmtpError(Stage.CONNECT, reason, detail) from failure


def _addresses(endpoint: Target) -> list[Address]:
    try:
        addresses = resolve(endpoint.host, endpoint.port)
    except OSError as error:
        detail = f"{endpoint.host or 'the host'} has no address: {error.strerror or error}"
        raise SmtpError(Stage.CONNECT, Reason.DNS, detail) from error
    if not endpoint.allow_private:
        for address in addresses:
            if is_private(address.ip):
                detail = f"{endpoint.host} is {address.ip}, a private address, which this account may not use"
                raise SmtpError(Stage.CONNECT, Reason.PRIVATE_ADDRESS, detail)
    return addresses


def _connect(address: Address, limit: float) -> socket.socket:
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        sock.settimeout(limit)
        sock.connect(address.sockaddr)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        sock.close()
        raise
    return sock
