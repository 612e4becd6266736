"""Whether a machine answered: RFC 3834, and the fields that were there before it and still are."""

from __future__ import annotations

import re

from services.reports.fields import Fields, without_comments

_PRESENT = ("x-autoreply", "x-autorespond", "x-autoresponder", "x-auto-reply-from", "x-mail-autoreply")
_PRECEDENCE = ("auto_reply", "bulk", "junk", "auto-reply")
_SUBJECT = re.compile(
    r"\s*(auto(matic|mated)?[ -]?(reply|response|antwort)|autoreply|out of (the )?office|auto:|abwesen|"
    r"automatische antwort|réponse automatique|respuesta automática|risposta automatica)",
    re.IGNORECASE,
)


def is_auto(fields: Fields) -> bool:
    submitted = without_comments(fields.get("auto-submitted")).partition(";")[0].strip().lower()
    if submitted:
        return submitted != "no"
    return (
        any(fields.all(name) for name in _PRESENT)
        or fields.get("precedence").lower() in _PRECEDENCE
        or fields.get("return-path") == "<>"
        or _SUBJECT.match(fields.get("subject")) is not None
    )
