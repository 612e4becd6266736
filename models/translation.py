"""SQL is written once, for SQLite. What PostgreSQL must read otherwise is few and mechanical:

- `?` stands for a parameter, and a literal `%` is doubled;
- `/*pg FOR UPDATE*/` is a comment to SQLite, where whoever writes is alone, and a lock to PostgreSQL;
- an empty `IN ()`, which SQLite takes for what it is;
- `INDEXED BY name` is a hint to SQLite, whose planner keeps no statistics of what the queue holds.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

_PARTS = re.compile(
    r"""'(?:[^']|'')*'      # text
      | "[^"]*"             # a name
      | /\*pg\s(?P<own>.*?)\*/
      | INDEXED\sBY\s\w+
      | (?:NOT\s)?IN\s\(\)  # of an empty list
      | \?
      | %
    """,
    re.VERBOSE,
)


@lru_cache(maxsize=4096)
def for_postgres(sql: str) -> str:
    """The statement with psycopg's `%s` for its parameters."""
    return _PARTS.sub(_part, sql)


def _part(found: re.Match[str]) -> str:
    text = found[0]
    if text == "?":
        return "%s"
    if text.startswith("INDEXED"):
        return ""
    if text.endswith("IN ()"):
        return "<> ALL ('{}')" if text.startswith("NOT") else "= ANY ('{}')"
    return (found["own"] or text).replace("%", "%%")


def without_nul(params: Any) -> Any:
    """PostgreSQL's text cannot hold the character NUL, which servers may put into a reply: it becomes U+FFFD."""
    if any(isinstance(one, str) and "\0" in one for one in params):
        return tuple(one.replace("\0", "\ufffd") if isinstance(one, str) else one for one in params)
    return params
