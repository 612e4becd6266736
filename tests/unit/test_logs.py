from __future__ import annotations

import io
import json
import logging
import re
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils import logs


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level, set(logs._secrets))
    yield
    root.handlers[:], root.level = before[0], before[1]
    logging.captureWarnings(False)
    logs._secrets.clear()
    logs._secrets.update(before[2])
    logs.mask([])


def lines(fmt: str, say: object, level: str = "INFO") -> list[str]:
    out = io.StringIO()
    logs.configure(level, fmt, out)
    say(logging.getLogger("mailferry.test"))  # type: ignore[operator]
    return out.getvalue().splitlines()


def test_text_is_time_logger_level_and_message() -> None:
    (line,) = lines("text", lambda log: log.info("action=sent email=%d", 7))
    assert re.fullmatch(
        r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] \[mailferry\.test\] INFO: action=sent email=7", line
    )


def test_text_time_is_utc() -> None:
    record = logging.makeLogRecord({"name": "a", "levelname": "INFO", "msg": "x", "created": 1_769_164_245.5})
    assert logs.TextFormatter().format(record) == "[2026-01-23 10:30:45] [a] INFO: x"


def test_records_below_the_level_are_left_out() -> None:
    assert lines("text", lambda log: log.info("quiet"), level="WARNING") == []


def test_json_is_one_object_with_the_fields_of_the_message() -> None:
    (line,) = lines("json", lambda log: log.info('action=deferred email=%d detail="421 try later"', 7))
    entry = json.loads(line)
    assert entry["level"] == "INFO" and entry["logger"] == "mailferry.test"
    assert entry["message"] == 'action=deferred email=7 detail="421 try later"'
    assert (entry["action"], entry["email"], entry["detail"]) == ("deferred", 7, "421 try later")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["ts"])


def test_json_holds_what_extra_adds() -> None:
    (line,) = lines("json", lambda log: log.info("hello", extra={"tenant": "acme", "took_ms": 3}))
    entry = json.loads(line)
    assert (entry["tenant"], entry["took_ms"]) == ("acme", 3)


def test_what_a_server_says_is_not_taken_for_our_own_words() -> None:
    said = "no: action=account_deleted email=8"
    (line,) = lines("json", lambda log: log.info("action=sent email=%d error=%s", 7, said))
    assert (json.loads(line)["action"], json.loads(line)["email"]) == ("sent", 7)


def test_a_message_cannot_overwrite_the_fixed_fields() -> None:
    (line,) = lines("json", lambda log: log.info("level=DEBUG ts=0 logger=other"))
    entry = json.loads(line)
    assert (entry["level"], entry["logger"]) == ("INFO", "mailferry.test") and entry["ts"] != "0"


@pytest.mark.parametrize("fmt", ["text", "json"])
def test_records_of_a_request_carry_its_id(fmt: str) -> None:
    token = logs.set_request_id("r-42")
    (line,) = lines(fmt, lambda log: log.info("hello"))
    logs.reset_request_id(token)
    (after,) = lines(fmt, lambda log: log.info("hello"))
    assert "r-42" in line and "r-42" not in after


@pytest.mark.parametrize("fmt", ["text", "json"])
def test_secrets_are_masked_wherever_they_turn_up(fmt: str) -> None:
    secret = 'pa"ss\\wörd-planted'
    logs.mask([secret, "ab"])

    def say(log: logging.Logger) -> None:
        log.info("login with %s ab", secret)
        log.info("more", extra={"password": secret, "seen": [secret.encode().decode()]})
        try:
            raise ValueError(f"wrong: {secret}")
        except ValueError:
            log.exception("failed")

    whole = "\n".join(lines(fmt, say))
    assert "planted" not in whole and whole.count("***") >= 3
    assert "*** ab" in whole  # too short to mask


@pytest.mark.parametrize("fmt", ["text", "json"])
def test_an_exception_stays_on_its_line_with_cause_and_place(fmt: str) -> None:
    def say(log: logging.Logger) -> None:
        try:
            try:
                raise KeyError("first")
            except KeyError as error:
                raise ValueError("second\nline") from error
        except ValueError:
            log.exception("action=crashed")

    (line,) = lines(fmt, say)
    told = json.loads(line)["exception"] if fmt == "json" else line
    assert "ValueError: second" in told and "after KeyError: 'first'" in told and "test_logs.py:" in told


@given(text=st.text())
def test_no_text_makes_a_second_record(text: str) -> None:
    for fmt in ("text", "json"):
        found = lines(fmt, lambda log: log.info("subject=%s", logs.quoted(text)))
        assert len(found) == 1


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_a_quoted_value_comes_back_whole(text: str) -> None:
    record = logging.makeLogRecord({"name": "a", "levelname": "INFO", "msg": "subject=" + logs.quoted(text)})
    assert json.loads(logs.JsonFormatter().format(record))["subject"] == text


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_a_value_by_repr_comes_back_whole(text: str) -> None:
    record = logging.makeLogRecord(
        {"name": "a", "levelname": "INFO", "msg": "reply=%r end=1", "args": (text,)}
    )
    entry = json.loads(logs.JsonFormatter().format(record))
    assert (entry["reply"], entry["end"]) == (text, 1)


def test_gunicorn_records_go_through_the_same_handler() -> None:
    from gunicorn.config import Config

    from utils.gunicorn_log import GunicornLog

    out = io.StringIO()
    logs.configure("INFO", "json", out)
    GunicornLog(Config()).info("Booting worker with pid: %s", 5)
    entry = json.loads(out.getvalue())
    assert (entry["logger"], entry["message"]) == ("gunicorn.error", "Booting worker with pid: 5")
    assert sys.stderr not in [
        getattr(one, "stream", None) for one in logging.getLogger("gunicorn.error").handlers
    ]
