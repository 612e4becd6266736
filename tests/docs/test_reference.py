"""The reference pages against the code, both ways: settings, states, events, reasons, holds, stages; and what the
explanations and how-tos say about it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.email import RecipientState, State
from services import metrics, timeline, why
from services.provider_texts import pause_named
from services.smtp import Reply, Stage
from tests.docs import reference
from tests.docs.pages import DOCS, ROOT

STATES, FAILURES = (DOCS / "states.md").read_text(), (DOCS / "failures.md").read_text()


def section(text: str, title: str) -> str:
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def told(text: str, title: str) -> set[str]:
    """The words in the first column of a section's table."""
    rows = re.findall(r"^\| (`[^|]+) \|", section(text, title), re.MULTILINE)
    found = [word for row in rows for word in re.findall(r"`(\w+)`", row)]
    assert len(found) == len(set(found)), f"{title}: a word is told twice"
    return set(found)


def test_settings_are_told_as_they_are() -> None:
    text = reference.PAGE.read_text()
    assert text == reference.written(text), "run python -m tests.docs.reference"


def test_every_state_is_told_and_no_other() -> None:
    assert told(STATES, "States of an email") == {*State}
    assert told(STATES, "States of a recipient") == {*RecipientState}


def constants(node: ast.AST | None) -> set[str]:
    found = {one.value for one in ast.walk(node) if isinstance(one, ast.Constant)} if node else set()
    return {one for one in found if isinstance(one, str) and re.fullmatch(r"[a-z]+(_[a-z]+)*", one)}


def stored(tree: ast.AST) -> Iterator[str]:
    """Types of events that this code stores: `Event.create(type=…)`, `_note(…, kind)`, rows for INSERT INTO events."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name == "Event.create":
                yield from constants(next(one.value for one in node.keywords if one.arg == "type"))
            elif name == "_note":
                yield from constants(node.args[2] if len(node.args) > 2 else None)
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "kind":
            yield from constants(node.value)


def lines(tree: ast.AST) -> Iterator[str]:
    """Types of events that services/timeline.py tells of rows."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "_line":
            yield from constants(node.args[1])


def test_every_event_is_told_and_no_other() -> None:
    rows = set(lines(ast.parse((ROOT / "services/timeline.py").read_text())))
    outcomes = {timeline._OUTCOMES.get(one, one) for one in metrics.OUTCOMES}
    events = told(STATES, "Events")
    assert events == rows | outcomes | set(metrics.EVENTS)
    folders = (ROOT / "services", ROOT / "services/reports", ROOT / "services/composing")
    files = [path for folder in folders for path in folder.glob("*.py")]
    found = {
        kind for path in files if "Event" in path.read_text() for kind in stored(ast.parse(path.read_text()))
    }
    assert found - events == set()
    assert len(found) > 10


def test_the_walk_would_notice_an_event() -> None:
    assert set(stored(ast.parse("Event.create(email_id=1, type='new' if a else 'other_new')"))) == {
        "new",
        "other_new",
    }
    assert set(stored(ast.parse("_note(email, now, 'third')"))) == {"third"}


def called(path: str, name: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    calls = [one for one in ast.walk(tree) if isinstance(one, ast.Call) and ast.unparse(one.func) == name]
    return {word for call in calls for word in constants(call.args[0])}


def test_every_hold_is_told_and_no_other() -> None:
    said = re.search(r"kind: str  # (.+)", (ROOT / "services/readiness.py").read_text())
    assert said is not None
    holds = told(FAILURES, "What holds a config")
    assert holds == set(said[1].split(", "))
    assert called("services/readiness.py", "Hold") <= holds


def test_every_reason_is_told_and_no_other() -> None:
    holds = told(FAILURES, "What holds a config")
    held = {why._KINDS.get(one, one) for one in holds - {"connections"}}
    assert told(STATES, "Reasons") == called("services/why.py", "Reason") | held


def test_every_stage_is_told_in_its_order() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", section(FAILURES, "Stages"), re.MULTILINE)
    assert rows == [*Stage]


def quoted(page: Path) -> Iterator[tuple[Reply, str]]:
    """Replies in a how-to's table, with what to do."""
    for cell, advice in re.findall(r"^\| (`\d{3} [^|]+) \| ([^|]+) \|$", page.read_text(), re.MULTILINE):
        for text in re.findall(r"`([^`]+)`", cell):
            if found := re.match(r"(\d{3}) (?:(\d\.\d+\.\d+) )?(.+)", text):
                yield Reply(int(found[1]), found[2], (found[3],)), advice


@pytest.mark.parametrize("name", ["gmail", "microsoft-365", "amazon-ses"])
def test_what_a_provider_says_pauses_where_the_page_says_so(name: str) -> None:
    found = [*quoted(DOCS / f"how-to/{name}.md")]
    assert len(found) >= 3
    for reply, advice in found:
        assert (pause_named(reply) is not None) == advice.startswith("Nothing"), reply


def test_every_thread_is_in_the_table_of_threads() -> None:
    files = [*(ROOT / "workers").glob("*.py"), *(ROOT / "utils").glob("*.py")]
    started = {
        name
        for path in files
        for name in re.findall(
            r"Thread\([^()]*(?:\([^()]*\))*[^()]*name=f?\"([\w-]+?)-?[\"{]", path.read_text()
        )
    }
    text = section((DOCS / "flow.md").read_text(), "Who does what in a process")
    rows = " ".join(re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE))
    assert len(started) >= 7
    assert [one for one in started if not re.search(rf"\b{one}\b", rows)] == []


@pytest.mark.parametrize("name", ["flow.md", "inbound.md", "decisions.md"])
def test_every_file_that_an_explanation_names_is_there(name: str) -> None:
    text = (DOCS / name).read_text()
    named = set(re.findall(r"\b(?:controllers|services|workers|models|utils|tests)/[\w/]+\.py\b", text))
    assert named
    assert [one for one in named if not (ROOT / one).exists()] == []
