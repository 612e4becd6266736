"""A POP3 client (RFC 1939) on the socket, the deadlines and the errors of the IMAP client."""

from __future__ import annotations

from .client import Client

__all__ = ["Client"]
