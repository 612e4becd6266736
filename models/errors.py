"""What only a database that is reached over a network can do to a write."""

from __future__ import annotations

from peewee import OperationalError


class InDoubtError(OperationalError):
    """A commit of which nobody knows whether it came through."""
