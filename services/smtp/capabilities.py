"""What a server said it can do (RFC 5321 4.1.1.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .reply import Reply


@dataclass(frozen=True, slots=True)
class Capabilities:
    """`keywords`: upper-case EHLO keyword → its parameters as sent."""

    keywords: Mapping[str, str] = field(default_factory=dict)
    pipelining: bool = False
    smtputf8: bool = False
    eightbit: bool = False
    max_size: int | None = None

    @property
    def auth(self) -> tuple[str, ...]:
        return tuple(self.keywords.get("AUTH", "").upper().split())


def parse_ehlo(reply: Reply) -> Capabilities:
    keywords: dict[str, str] = {}
    for line in reply.lines[1:]:
        # "AUTH=PLAIN LOGIN" is the form of servers older than RFC 2554, often sent beside the right one.
        keyword, _, parameters = line.replace("AUTH=", "AUTH ", 1).partition(" ")
        if keyword:
            known = keywords.get(keyword.upper(), "")
            keywords[keyword.upper()] = f"{known} {parameters.strip()}".strip()
    size = keywords.get("SIZE", "")
    return Capabilities(
        keywords=keywords,
        pipelining="PIPELINING" in keywords,
        smtputf8="SMTPUTF8" in keywords,
        eightbit="8BITMIME" in keywords,
        max_size=(int(size) or None) if size.isascii() and size.isdigit() else None,  # 0: no limit (RFC 1870)
    )
