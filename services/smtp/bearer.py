"""Login by an access token: XOAUTH2, as Google and Microsoft have it, else OAUTHBEARER (RFC 7628).

Both say no by a challenge that holds the reason, and want an answer to it before they really say no.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

XOAUTH2, OAUTHBEARER = "XOAUTH2", "OAUTHBEARER"
MECHANISMS = (XOAUTH2, OAUTHBEARER)


class Bearer(NamedTuple):
    """`start` is the first answer, `end` the one to a challenge that comes after it."""

    mechanism: str
    start: bytes
    end: bytes


def bearer(offered: Collection[str], username: str, token: str, host: str, port: int) -> Bearer | None:
    """None when the server takes no token. ValueError for what cannot be said by it."""
    if any(one in username + token for one in "\0\1\r\n"):
        raise ValueError("the username or token holds a control character")
    if XOAUTH2 in offered:
        return Bearer(XOAUTH2, f"user={username}\1auth=Bearer {token}\1\1".encode(), b"")
    if OAUTHBEARER in offered:
        name = username.replace("=", "=3D").replace(",", "=2C")  # RFC 5801: saslname
        text = f"n,a={name},\1host={host}\1port={port}\1auth=Bearer {token}\1\1"
        return Bearer(OAUTHBEARER, text.encode(), b"\1")
    return None
