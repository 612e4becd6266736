"""A database on the network may be away. That is no accident of ours, and whoever asks may come back."""

from __future__ import annotations

from peewee import InterfaceError, OperationalError

from models.database import database
from models.errors import InDoubtError
from services.errors import UnavailableError


def told(error: Exception) -> UnavailableError | None:
    """What to answer, when the error says that the database cannot be reached."""
    if isinstance(error, InDoubtError):
        return UnavailableError(
            "the connection to the PostgreSQL database broke at the commit: it may be stored or not;"
            " send it again with the same Idempotency-Key, which is never stored twice"
        )
    if database.shared and isinstance(error, OperationalError | InterfaceError):
        return UnavailableError(
            "the PostgreSQL database cannot be reached: nothing was stored, try again later"
        )
    return None
