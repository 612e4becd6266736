"""An IMAP client: imaplib's tags and literals over a socket, a grammar and deadlines of our own."""

from __future__ import annotations

from . import labels
from .client import Client, string
from .endpoint import Encryption, Endpoint, Limits
from .errors import ImapError, Reason
from .folders import Listed, Status
from .reading import Fetched, Selected, existing, fetch, section, select

__all__ = [
    "Client", "Encryption", "Endpoint", "Fetched", "ImapError", "Limits", "Listed", "Reason", "Selected", "Status",
    "existing", "fetch", "labels", "section", "select", "string",
]  # fmt: skip
