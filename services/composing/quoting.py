"""What a reply and a forward begin with: whom they go to, their subject, and the mail they are about."""

from __future__ import annotations

import re
from typing import Any

from utils.clock import iso

_SPECIAL = re.compile(r'[()<>\[\]:;@\\,."]')  # RFC 5322 3.2.3
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
LONGEST = 50_000  # characters that are quoted
_SUBJECT = 490  # characters; the prefix comes to that
_RE, _FWD = re.compile(r"\s*re\s*:", re.IGNORECASE), re.compile(r"\s*fwd?\s*:", re.IGNORECASE)

Message = dict[str, Any]  # as services.inbox.detail gives it


def reply(message: Message, own: str, *, to_all: bool = False) -> dict[str, str]:
    """to, cc, subject and text. To a message of one's own, it goes to whom that went."""
    people = message["people"]
    senders = people["from"]
    if senders and senders[0]["email"].lower() == own.lower():
        to = people["to"]
    elif message["replyTo"]:
        to = [{"name": "", "email": one} for one in message["replyTo"]]
    else:
        to = senders
    named = {one["email"].lower() for one in to} | {own.lower()}
    others = [one for one in people["to"] + people["cc"] if one["email"].lower() not in named]
    return {
        "to": _listed(to), "cc": _listed(others) if to_all else "",
        "subject": _prefixed("Re: ", _RE, message["subject"]), "text": f"\n\n{_quoted(message)}",
    }  # fmt: skip


def forward(message: Message) -> dict[str, str]:
    """subject and text. Its attachments go by `forwardOf`."""
    people = message["people"]
    told = [("From", people["from"]), ("To", people["to"]), ("Cc", people["cc"])]
    lines = [f"{name}: {_listed(some)}" for name, some in told if some]
    lines[1:1] = [f"Date: {_date(message)}", f"Subject: {message['subject']}"]
    text = "\n".join(lines)
    return {
        "subject": _prefixed("Fwd: ", _FWD, message["subject"]),
        "text": f"\n\n---------- Forwarded message ----------\n{text}\n\n{(message['body'] or '')[:LONGEST]}",
    }


def _quoted(message: Message) -> str:
    lines = (message["body"] or "")[:LONGEST].rstrip().splitlines()
    quoted = "\n".join(f">{line}" if line.startswith(">") else f"> {line}".rstrip() for line in lines)
    who = message["fromName"] or message["from"]
    return f"On {_date(message)}, {who} wrote:\n{quoted}\n"


def _date(message: Message) -> str:
    at = iso(message["sentAt"] or message["receivedAt"])
    return f"{at[:10]} {at[11:16]} UTC"


def _prefixed(prefix: str, present: re.Pattern[str], subject: str) -> str:
    """Once, however often it was answered."""
    subject = " ".join(subject.split())[:_SUBJECT]
    return subject if present.match(subject) else f"{prefix}{subject}"


def _listed(people: list[dict[str, str]]) -> str:
    """As they are written into a field, parted by commas."""
    return ", ".join(_written(one["name"], one["email"]) for one in people if one["email"])


def _written(name: str, address: str) -> str:
    name = _CONTROL.sub(" ", name).strip()
    if not name or name == address:
        return address
    if _SPECIAL.search(name):
        name = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{name} <{address}>"
