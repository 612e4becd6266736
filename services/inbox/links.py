"""Links to attachments that need no other credential, for an hour: a browser shows images by them, or downloads."""

from __future__ import annotations

from services.errors import ForbiddenError
from services.relay import Relay
from utils.clock import HOUR, MINUTE

LIVES = HOUR


def download_link(relay: Relay, account_id: str, part_id: int, now: int) -> str:
    """A path of ours. Those of one minute are the same, so that browsers need not load an image twice."""
    expires = now - now % MINUTE + LIVES
    signature = _signature(relay, account_id, part_id, expires)
    return f"/api/{account_id}/attachments/{part_id}/download?expires={expires}&signature={signature}"


def check_link(relay: Relay, account_id: str, part_id: int, expires: int, signature: str, now: int) -> None:
    """ForbiddenError for a link that we did not make, or whose hour is over."""
    if not relay.signer.derived("attachment").owns(_signed(account_id, part_id, expires), signature):
        raise ForbiddenError("this link was not made here", code="INVALID_SIGNATURE")
    if expires <= now:
        raise ForbiddenError(
            "this link has expired: read the message again for a new one", code="LINK_EXPIRED"
        )


def _signature(relay: Relay, account_id: str, part_id: int, expires: int) -> str:
    return relay.signer.derived("attachment").mark(_signed(account_id, part_id, expires))


def _signed(account_id: str, part_id: int, expires: int) -> str:
    return f"{account_id}/{part_id}/{expires}"
