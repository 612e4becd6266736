"""Logs: one line a record, as text for people or JSON for collectors, with secrets masked.

A record about mail names what happened and to which email: `log.info("action=deferred email=%d code=%d", …)`.
`key=value` words become fields of the JSON object, as does what `extra=` adds; a value with spaces goes in
quotes (`detail="421 try later"`), for which `%r` and `quoted` are there.
"""

from __future__ import annotations

import ast
import json
import logging
import re
import sys
import time
import traceback
from collections.abc import Iterable
from contextlib import suppress
from contextvars import ContextVar, Token
from functools import lru_cache
from typing import Any, TextIO

_MASK = "***"
_MIN_SECRET = 4  # masking anything shorter would eat ordinary words
_PLAIN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_RESERVED = {"ts", "level", "logger", "message"}
_FIELD = re.compile(r"""(?<!\S)([a-z_]+)=("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\S+)""")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# Libraries that tell every connection or every job.
_CHATTY = ("apscheduler", "mail.log")

_request_id: ContextVar[str] = ContextVar("request_id", default="")
_secrets: set[str] = set()
_secret_pattern: re.Pattern[str] | None = None


def configure(level: str, fmt: str, stream: TextIO | None = None) -> None:
    """Send all records of `level` and above to `stream` (stderr); `fmt` is "text" or "json"."""
    handler = logging.StreamHandler(stream) if stream else _Stderr()
    handler.setFormatter(JsonFormatter() if fmt == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)


def mask(values: Iterable[str]) -> None:
    """Never write these strings again, whichever record they turn up in. The last defence, not the first."""
    global _secret_pattern
    for value in values:
        if len(value) >= _MIN_SECRET:
            _secrets.update((value, repr(value)[1:-1], json.dumps(value)[1:-1], quoted(value)[1:-1]))
    longest_first = sorted(_secrets, key=len, reverse=True)
    _secret_pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None


def set_request_id(value: str) -> Token[str]:
    """Mark this context's records with `request_id`, until `reset_request_id`."""
    return _request_id.set(value)


def reset_request_id(token: Token[str]) -> None:
    _request_id.reset(token)


def quoted(text: str) -> str:
    """A value that may hold spaces, for the right side of `key=`."""
    return json.dumps(text, ensure_ascii=False)


class _Stderr(logging.StreamHandler[Any]):
    """The standard error of the moment, not of the start: it may be replaced."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> Any:
        return sys.stderr


class TextFormatter(logging.Formatter):
    """`[2026-01-23 10:30:45] [logger] LEVEL: text`, in UTC."""

    def format(self, record: logging.LogRecord) -> str:
        words = [f"[{_second(int(record.created))}] [{record.name}] {record.levelname}:", record.getMessage()]
        words += [f"{key}={_word(value)}" for key, value in _extra(record).items()]
        if record.exc_info:
            words.append(_trace(record))
        return _one_line(_masked(" ".join(words)))


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))


class JsonFormatter(logging.Formatter):
    """One object a line: ts, level, logger, message, exception where there is one, and the fields."""

    def format(self, record: logging.LogRecord) -> str:
        message = _masked(record.getMessage())
        entry: dict[str, Any] = {
            "ts": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": message,
        }
        fields: dict[str, Any] = {}
        # The first of a name counts: what somebody else says stands behind our own words.
        for key, text in _FIELD.findall(message):
            fields.setdefault(key, _value(text))
        fields |= _extra(record)
        entry |= {key: _masked_value(value) for key, value in fields.items() if key not in _RESERVED}
        if record.exc_info:
            entry["exception"] = _masked(_trace(record))
        return json.dumps(entry)


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    fields = {key: value for key, value in vars(record).items() if key not in _PLAIN}
    if request_id := _request_id.get():
        fields.setdefault("request_id", request_id)
    return fields


def _word(value: Any) -> str:
    text = str(value)
    return text if text and " " not in text else quoted(text)


def _value(text: str) -> str | int:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        for read in (json.loads, ast.literal_eval):
            with suppress(ValueError, SyntaxError):
                return str(read(text))
        return text[1:-1]
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else text


def _trace(record: logging.LogRecord) -> str:
    """`ValueError: no (a.py:12 f, b.py:30 g)`: innermost call last, the cause behind its effect."""
    error = record.exc_info[1] if record.exc_info else None
    told: list[str] = []
    while error is not None and len(told) < 5:
        frames = traceback.extract_tb(error.__traceback__)[-12:]
        places = ", ".join(
            f"{'/'.join(one.filename.split('/')[-2:])}:{one.lineno} {one.name}" for one in frames
        )
        told.append(f"{type(error).__name__}: {error} ({places})")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return ", after ".join(told)


def _one_line(text: str) -> str:
    """Nobody who can put a line end into a subject or a reply can forge a record."""
    return _CONTROL.sub(lambda match: repr(match[0])[1:-1], text)


def _masked(text: str) -> str:
    return _secret_pattern.sub(_MASK, text) if _secret_pattern else text


def _masked_value(value: Any) -> Any:
    return value if value is None or isinstance(value, int | float) else _masked(str(value))
