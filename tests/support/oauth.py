"""Who issues tokens, over https as our code demands it, and an SMTP server that takes them.

The provider also answers a Dovecot's question whether a token is good (`tokeninfo_url`).
"""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from base64 import b64decode
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from services.smtp import tls
from tests.support.ca import TestCA

HOST = "127.0.0.1"
CLIENT = {"clientId": "client-of-ours", "clientSecret": "planted-client-secret"}

Form = dict[str, str]
Said = tuple[int, bytes, dict[str, str]]  # status, body, headers


@dataclass
class Provider:
    """`good`: access tokens, and whose they are. `asked`: the forms of all renewals. With `rotates` a refresh token is
    good once, and another one comes with each access token. `instead`: what to answer in place of all that."""

    folder: Path
    rotates: bool = True
    lifetime: object = 3_600
    padding: str = ""  # to make access tokens as long as some providers have them
    good: dict[str, str] = field(default_factory=dict)
    refresh: dict[str, str] = field(default_factory=dict)
    asked: list[Form] = field(default_factory=list)
    instead: Callable[[Form], Said | None] = lambda form: None
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _servers: list[ThreadingHTTPServer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ca = TestCA(self.folder)
        self.port = self._serve(self.ca.server("localhost", HOST, name="provider"))
        self.info_port = self._serve(None)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}/token"

    @property
    def tokeninfo_url(self) -> str:
        return f"http://{HOST}:{self.info_port}/tokeninfo?access_token="

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def forget(self) -> None:
        """As it was at first, for the next test."""
        self.good, self.refresh, self.asked = {}, {}, []
        self.rotates, self.lifetime, self.padding, self.instead = True, 3_600, "", lambda form: None

    def grants(self, user: str) -> dict[str, Any]:
        """A credential for our API that brings access tokens for this user."""
        token = f"planted-refresh-{next(self._numbers)}"
        self.refresh[token] = user
        return {"refreshToken": token, "tokenEndpoint": self.url, **CLIENT}

    def issue(self, user: str) -> str:
        token = f"planted-access-{next(self._numbers)}{self.padding}"
        self.good[token] = user
        return token

    def revoke(self) -> None:
        """All access tokens, before their time."""
        self.good.clear()

    def answer(self, form: Form) -> Said:
        with self._lock:
            self.asked.append(form)
        return self.instead(form) or self._renew(form)

    def _renew(self, form: Form) -> Said:
        with self._lock:
            told = (form.get("grant_type"), form.get("client_id"), form.get("client_secret"))
            if told != ("refresh_token", CLIENT["clientId"], CLIENT["clientSecret"]):
                return said(401, error="invalid_client")
            user = self.refresh.get(form["refresh_token"])
            if user is None:
                return said(400, error="invalid_grant", error_description=f"no {form['refresh_token']}")
            more = {}
            if self.rotates:
                del self.refresh[form["refresh_token"]]
                more["refresh_token"] = f"planted-refresh-{next(self._numbers)}"
                self.refresh[more["refresh_token"]] = user
            return said(
                200, access_token=self.issue(user), token_type="Bearer", expires_in=self.lifetime, **more
            )

    def _serve(self, context: Any) -> int:
        server = ThreadingHTTPServer((HOST, 0), _handler(self))
        if context is not None:
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return int(server.server_address[1])


def said(status: int, **values: Any) -> Said:
    return status, json.dumps(values).encode(), {"Content-Type": "application/json"}


def _handler(provider: Provider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            form = dict(parse_qsl(body.decode(), strict_parsing=True))
            assert (self.path, self.headers["Host"]) == ("/token", f"localhost:{provider.port}")
            self.tell(provider.answer(form))

        def do_GET(self) -> None:
            token = dict(parse_qsl(urlsplit(self.path).query))["access_token"]
            user = provider.good.get(token)
            self.tell(said(200, email=user) if user else said(401, error="invalid_token"))

        def tell(self, what: Said) -> None:
            status, body, headers = what
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    return Handler


@contextmanager
def trusting(provider: Provider, monkeypatch: Any) -> Iterator[None]:
    """Its authority is the system's meanwhile."""
    monkeypatch.setenv("SSL_CERT_FILE", provider.ca.file)
    tls._context.cache_clear()
    try:
        yield
    finally:
        tls._context.cache_clear()


class TokenSmtp:
    """aiosmtpd, which takes mail from those alone whose token the provider knows. `logins`: how each went. `refuses`:
    what to say at MAIL in place of an answer."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.logins: list[tuple[str, bool]] = []
        self.taken: list[Envelope] = []
        self.refuses: Callable[[str], str | None] = lambda token: None
        self._controller = _Controller(self, hostname=HOST, port=0)

    def __enter__(self) -> TokenSmtp:
        self._controller.start()
        self.port: int = self._controller.port
        return self

    def __exit__(self, *exc: object) -> None:
        self._controller.stop()

    async def auth_XOAUTH2(self, server: SMTP, args: list[str]) -> AuthResult:  # noqa: N802
        user, token = (
            b64decode(args[1]).decode().removesuffix("\1\1").removeprefix("user=").split("\1auth=Bearer ")
        )
        good = self.provider.good.get(token) == user
        self.logins.append((token, good))
        if not good:
            await server.challenge_auth('{"status":"401","schemes":"Bearer"}')
        return AuthResult(success=good, handled=False, auth_data=token)

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        refusal = self.refuses(str(session.auth_data))
        if refusal is None:
            envelope.mail_from = address
        return refusal or "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        self.taken.append(envelope)
        return "250 OK"


class _Controller(Controller):
    def _trigger_server(self) -> None:
        """It calls itself: at the port that it got."""
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()

    def factory(self) -> SMTP:
        return _Server(
            self.handler, auth_required=True, auth_require_tls=False,
            auth_exclude_mechanism=["LOGIN", "PLAIN"], loop=asyncio.get_event_loop(),
        )  # fmt: skip


class _Server(SMTP):
    """RFC 4954, 4: AUTH takes lines of 12,288 octets."""

    line_length_limit = 13_000

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.command_size_limits = defaultdict(lambda: 12_288)
