"""What a failure is called on the command line, and what to do next."""

from __future__ import annotations

from typing import NamedTuple

from peewee import PeeweeException

from controllers.cli.context import SettingsError
from services import outage
from services.errors import NotFoundError, ServiceError

# How the message begins → where to look.
_ABSENT = {
    "no email": "emails list",
    "no SMTP config": "configs list",
    "no sandbox message": "sandbox list",
    "no API key": "keys list",
    "no user": "users list",
    "no account": "accounts list",
    "no template": "templates list",
    "not suppressed": "suppressions list",
}
_ADVICE = {
    "NO_SMTP_CONFIG": "add one: python app.py configs add --help",
    "CONTENT_ERASED": "send it anew: python app.py send",
    "NAME_TAKEN": "choose another name",
    "STORAGE_FULL": "make room; see: python app.py doctor",
}
_RIGHTS = "run it as the user that the relay runs as"
_REFUSED = ("readonly database", "unable to open database")


class Told(NamedTuple):
    message: str
    misused: bool = False  # the settings are wrong, not the work


def explained(error: Exception) -> Told | None:
    """None for what is a fault of ours."""
    if isinstance(error, SettingsError):
        return Told(str(error), misused=True)
    if isinstance(error, ServiceError):
        message = "; ".join(f"{one.field}: {one.message}" for one in error.details) or error.message
        advice = _advice(error)
        return Told(f"{message} ({advice})" if advice else message)
    if isinstance(error, PeeweeException):
        unavailable = outage.told(error)
        if unavailable:
            return Told(f"{unavailable.message} ({error})")
        advice = _RIGHTS if any(one in str(error) for one in _REFUSED) else "see: python app.py doctor"
        return Told(f"the database: {error} ({advice})")
    if isinstance(error, PermissionError):
        return Told(f"{error} ({_RIGHTS})")
    return Told(str(error)) if isinstance(error, OSError) else None


def _advice(error: ServiceError) -> str:
    if isinstance(error, NotFoundError):
        for beginning, command in _ABSENT.items():
            if error.message.startswith(beginning):
                return f"see: python app.py {command}"
    return _ADVICE.get(error.code, "")
