"""Complaints in the Abuse Reporting Format (RFC 5965)."""

from __future__ import annotations

from services.reports.fields import Fields, address_of, addresses_in, blocks, typed
from services.reports.report import Action, Fate, Kind, Report, Said
from services.reports.returned import pairs_of, returned

TYPE = "message/feedback-report"
COMPLAINTS = ("abuse", "fraud", "virus", "opt-out", "other")  # not: not-spam, auth-failure, dmarc
# The recipient, for feeds that leave Original-Rcpt-To out. `To` does not tell: another of them may have complained.
_HIDDEN = ("x-hmxmroriginalrecipient", "x-original-to", "delivered-to")


def read(fields: Fields, said: Said, marked: tuple[str, ...]) -> Report | None:
    data = next((data for kind, data in said.parts if kind == TYPE), None)
    if data is None:
        return None
    groups = blocks(data)
    told = groups[0] if groups else Fields("")
    kind = told.get("feedback-type").strip().lower()
    if kind not in COMPLAINTS:
        return None
    original = returned(said)
    return Report(
        Kind.COMPLAINT, pairs_of(said, original, marked), tuple(_fates(told, original, kind)),
        by=typed(told.get("reporting-mta")).value,
    )  # fmt: skip


def _fates(told: Fields, original: Fields, kind: str) -> list[Fate]:
    named = [address for one in told.all("original-rcpt-to") if (address := address_of(one))]
    for name in _HIDDEN:
        named = named or addresses_in(original.get(name))[:1]
    return [Fate(Action.FAILED, one, diagnostic=kind) for one in named]
