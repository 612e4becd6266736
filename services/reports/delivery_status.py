"""Delivery reports that keep to RFC 3464, or to RFC 6533 for addresses that are not ASCII."""

from __future__ import annotations

from services.reports.fields import Fields, address_of, blocks, typed, without_comments
from services.reports.report import Action, Fate, Kind, Report, Said
from services.reports.returned import pairs_of, returned

_TYPES = ("message/delivery-status", "message/global-delivery-status")
_ACTIONS = {"failed": Action.FAILED, "delayed": Action.DELAYED, "delivered": Action.DELIVERED}
_ACTIONS |= {
    "failure": Action.FAILED,
    "fail": Action.FAILED,
    "error": Action.FAILED,
}  # what some servers write
MOST = 1_000  # recipients
LONGEST_STATUS = 11  # characters: 5.999.999, and a little
_QUEUE_IDS = ("x-postfix-queue-id", "original-envelope-id", "x-queue-id", "x-sendmail-queue-id")


def read(fields: Fields, said: Said, marked: tuple[str, ...]) -> Report | None:
    data = next((data for kind, data in said.parts if kind in _TYPES), None)
    if data is None:
        return None
    groups = blocks(data)
    fates = [fate for one in groups[:MOST] if (fate := _fate(one)) is not None]
    about = next((one for one in groups if one.get("reporting-mta")), Fields(""))
    original = returned(said)
    # Providers put their own id into the Message-ID, whole or before its @.
    renamed = original.get("message-id").strip().strip("<>")
    names = [*(about.get(name) for name in _QUEUE_IDS), renamed, renamed.partition("@")[0]]
    return Report(
        Kind.BOUNCE,
        pairs_of(said, original, marked),
        tuple(fates),
        frozenset(bare for one in names if (bare := one.strip().strip("<>"))),
        typed(about.get("reporting-mta")).value,
    )


def _fate(group: Fields) -> Fate | None:
    words = without_comments(group.get("action")).lower().split()
    action = _ACTIONS.get(words[0].rstrip(",;:")) if words else None
    final = address_of(group.get("final-recipient"))
    original = address_of(group.get("original-recipient"))
    if action is None or not (final or original):
        return None
    status = (without_comments(group.get("status")).split() or [""])[0][:LONGEST_STATUS]
    return Fate(action, final, original, status, typed(group.get("diagnostic-code")).value)
