"""Mail that other projects have met: nothing of it raises, and bounces are known for what they are."""

from __future__ import annotations

import logging
import time

import pytest

from models.database import rows, write
from services import reports
from services.relay import Relay
from services.reports.recognise import recognise
from services.reports.report import Action, Kind, Said
from tests.reports.letters import stored, taken_apart
from tests.support import corpora
from tests.support.relay import submit
from utils.clock import now_ms

# Of flufl.bounce's 117 mails, from what sync keeps of a mail: its header, its text, the parts of a report. It knows
# nothing of five of the others itself; one was forwarded whole, one needs the parts as they were.
BOUNCES_KNOWN = 110


@pytest.fixture(scope="session")
def mails(request: pytest.FixtureRequest) -> list[tuple[str, bytes]]:
    cache = request.config.cache
    assert cache is not None
    folder = cache.mkdir("corpora")
    found = corpora.of_python()
    for name in corpora.PACKAGES:
        found += corpora.fetched(name, folder)
    return found


def test_none_raises_nor_takes_long(
    relay: Relay, mails: list[tuple[str, bytes]], caplog: pytest.LogCaptureFixture
) -> None:
    assert len(mails) > 180
    email_id = submit(relay)
    with caplog.at_level(logging.WARNING):
        for name, raw in mails:
            looked = stored(raw)
            began = time.process_time()
            write(lambda looked=looked: reports.look_at(relay, [looked], now_ms()))
            assert time.process_time() - began < 1, name
    assert "report_unreadable" not in caplog.text
    assert rows("SELECT count(*) FROM events") == [(0,)]
    assert rows("SELECT state FROM recipients WHERE email_id = ?", email_id) == [("pending",)]
    assert rows("SELECT count(*) FROM suppressions") == [(0,)]


def test_bounces_are_known(mails: list[tuple[str, bytes]]) -> None:
    bounces = [raw for name, raw in mails if name.startswith("flufl.bounce")]
    found = []
    for raw in bounces:
        headers, text, parts = taken_apart(raw)
        report = recognise(Said(headers.decode("utf-8", "replace"), text, tuple(parts)))
        if report is not None and report.kind is Kind.BOUNCE:
            found += [fate for fate in report.fates if fate.action in (Action.FAILED, Action.DELAYED)][:1]
    assert len(bounces) == 117
    assert len(found) == BOUNCES_KNOWN
