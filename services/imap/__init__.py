"""An IMAP client: imaplib's tags and literals over a socket, a grammar and deadlines of our own."""

from __future__ import annotations

from .client import Client, string
from .endpoint import Encryption, Endpoint, Limits
from .errors import ImapError, Reason
from .folders import Listed, Status

__all__ = [
    "Client", "Encryption", "Endpoint", "ImapError", "Limits", "Listed", "Reason", "Status", "string",
]  # fmt: skip
