"""Where tokens are renewed: an https address, held to the same rule as all hosts that a tenant names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from services.errors import FieldError
from services.hosts import normal_host

PROVIDERS = {
    "gmail": "https://oauth2.googleapis.com/token",
    "outlook": "https://login.microsoftonline.com/common/oauth2/v2.0/token",
}
_HTTPS = 443
_PLAIN = re.compile(r"[\x21-\x7e]+\Z")  # anything else would have to be encoded


@dataclass(frozen=True, slots=True)
class TokenServer:
    """A Target of `services.smtp.dial`. Its certificate is always verified."""

    host: str
    port: int
    path: str
    allow_private: bool
    verify_tls: bool = True
    ca_file: str | None = None

    @property
    def authority(self) -> str:
        """The Host of a request."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _HTTPS else f"{host}:{self.port}"


def checked_url(text: str, public_only: bool, field: str, wrong: list[FieldError]) -> str:
    """In normal form. What is wrong with it is added to `wrong`."""
    server = _parsed(text)
    if server is None:
        wrong.append(FieldError(field, "must be an https:// address without a login or #part", "INVALID_URL"))
        return text
    host = normal_host(server.host, public_only, field, wrong)
    return f"https://{TokenServer(host, server.port, server.path, False).authority}{server.path}"


def server_of(url: str, allow_private: bool) -> TokenServer:
    """Of an address that `checked_url` has passed."""
    server = _parsed(url)
    assert server is not None
    return TokenServer(server.host, server.port, server.path, allow_private)


def _parsed(text: str) -> TokenServer | None:
    try:
        parts = urlsplit(text)
        port = parts.port or _HTTPS
    except ValueError:
        return None
    if parts.scheme != "https" or not parts.hostname or "@" in parts.netloc or "#" in text:
        return None
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return TokenServer(parts.hostname, port, path, False) if _PLAIN.match(text) else None
