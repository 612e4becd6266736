"""One POST of a form to a token server. Its answer is small and comes soon, or it is none; redirects are not followed,
since they would carry the refresh token to wherever they lead."""

from __future__ import annotations

import io
import json
import socket
import ssl
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any, cast
from urllib.parse import urlencode

from services.smtp import Reason, SmtpError
from services.smtp.dial import dial
from services.smtp.tls import context_for, explain, server_name
from utils.clock import monotonic

from .errors import TokenError
from .server import TokenServer

SECONDS = 20.0  # from the name to the last byte
MOST_BYTES = 64 * 1024

Answer = dict[str, Any]


def post(server: TokenServer, form: dict[str, str], seconds: float = SECONDS) -> tuple[int, Answer]:
    """The status, and the JSON object that came with it: an empty one when none did. TokenError."""
    deadline = monotonic() + seconds
    try:
        sock, _ = dial(server, seconds, lambda step, detail: None)
    except SmtpError as error:
        raise TokenError(error.reason, error.detail) from error
    with closing(sock):
        try:
            return _exchange(_encrypted(sock, server, deadline), server, form, deadline)
        except TimeoutError as error:
            raise TokenError(Reason.TIMEOUT, f"{server.host} did not answer in time") from error
        except ssl.SSLError as error:
            raise TokenError(Reason.TLS, f"{server.host}: {explain(error)}") from error
        except OSError as error:
            raise TokenError(Reason.CLOSED, f"{server.host}: {error.strerror or error}") from error
        except (HTTPException, ValueError) as error:
            what = type(error).__name__  # its text may repeat what we sent
            raise TokenError(Reason.PROTOCOL, f"{server.host} did not answer in HTTP: {what}") from None


def _encrypted(sock: socket.socket, server: TokenServer, deadline: float) -> ssl.SSLSocket:
    sock.settimeout(_left(deadline))
    return context_for(server).wrap_socket(sock, server_hostname=server_name(server))


def _exchange(
    sock: ssl.SSLSocket, server: TokenServer, form: dict[str, str], deadline: float
) -> tuple[int, Answer]:
    with closing(sock), closing(HTTPConnection(server.host, server.port)) as connection:
        connection.sock = cast(Any, _Timed(sock, deadline))
        headers = {
            "Host": server.authority, "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json", "Connection": "close",
        }  # fmt: skip
        connection.request("POST", server.path, urlencode(form), headers)
        response = connection.getresponse()
        return response.status, _read(response, server)


def _read(response: HTTPResponse, server: TokenServer) -> Answer:
    body = response.read(MOST_BYTES + 1)
    if len(body) > MOST_BYTES:
        raise TokenError(Reason.PROTOCOL, f"the answer of {server.host} is larger than {MOST_BYTES} bytes")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):  # the latter for "[[[[…"
        return {}
    return found if isinstance(found, dict) else {}


class _Timed:
    """The little of a socket that http.client asks for. However the bytes trickle, there is an end to it."""

    def __init__(self, sock: ssl.SSLSocket, deadline: float) -> None:
        self._sock, self._deadline = sock, deadline

    def sendall(self, data: bytes) -> None:
        self._sock.settimeout(_left(self._deadline))
        self._sock.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Incoming(self._sock, self._deadline))

    def close(self) -> None:
        """http.client does so before it reads the body; who opened the socket closes it."""


class _Incoming(io.RawIOBase):
    def __init__(self, sock: ssl.SSLSocket, deadline: float) -> None:
        self._sock, self._deadline = sock, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(_left(self._deadline))
        return self._sock.recv_into(buffer)


def _left(deadline: float) -> float:
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError
    return left
