"""Renewal of an access token by its refresh token (RFC 6749, 6)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from services.smtp import Reason
from services.smtp.reply import blot
from utils.clock import DAY, SECOND

from .errors import TokenError
from .grant import Grant
from .post import SECONDS, Answer, post
from .server import server_of

MOST_TOKEN = 16_000  # characters
_LONGEST = 3_650 * DAY
# Of RFC 6749 and OpenID Connect: the user must log in again. Any other may be set right by the provider, or by whoever
# registered the client, and is tried again.
_REFUSALS = ("invalid_grant", "interaction_required", "login_required", "consent_required")
_TOKEN = re.compile(rf"[\x21-\x7e]{{1,{MOST_TOKEN}}}\Z")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")


def renewed(grant: Grant, allow_private: bool, now: int, seconds: float = SECONDS) -> Grant:
    """With a new access token, and with a new refresh token where the old one was replaced. TokenError."""
    server = server_of(grant.token_url, allow_private)
    form = {
        "grant_type": "refresh_token", "refresh_token": grant.refresh_token, "client_id": grant.client_id,
        "client_secret": grant.client_secret, "scope": grant.scope,
    }  # fmt: skip
    status, answer = post(server, {name: value for name, value in form.items() if value}, seconds)
    if status != 200 or "access_token" not in answer:
        raise _refusal(grant, server.host, status, answer)
    return replace(
        grant,
        access_token=_token(answer["access_token"], server.host),
        expires_at=_end(answer.get("expires_in"), now),
        refresh_token=_token(answer.get("refresh_token") or grant.refresh_token, server.host),
    )


def _refusal(grant: Grant, host: str, status: int, answer: Answer) -> TokenError:
    error, told = (str(answer.get(name) or "") for name in ("error", "error_description"))
    said = ": ".join(filter(None, (error, told))) or f"status {status}"
    said = blot(said, tuple(filter(None, (grant.refresh_token, grant.client_secret, grant.access_token))))
    said = _UNPRINTABLE.sub(" ", said)[:400]
    if error in _REFUSALS and 400 <= status < 500:
        return TokenError(Reason.AUTH, f"{host} wants a new login: {said}")
    return TokenError(Reason.REJECTED, f"{host} renewed no token: {said}")


def _token(value: Any, host: str) -> str:
    if not isinstance(value, str) or not _TOKEN.match(value):
        raise TokenError(Reason.PROTOCOL, f"{host} sent a token that cannot be used")
    return value


def _end(seconds: Any, now: int) -> int | None:
    """Some send the number as text; it is only recommended (RFC 6749, 5.1)."""
    text = str(seconds).partition(".")[0]
    if not (text.isascii() and text.isdigit()) or len(text) > 12:
        return None
    return now + min(int(text) * SECOND, _LONGEST)
