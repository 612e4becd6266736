"""That pages and searches are answered by their indexes, on either database, however much mail there is."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import pytest

from models import words
from models.database import database, rows
from services.inbox import conversations, listing, search
from services.inbox.listing import Wanted, folder_query, make_cursor
from tests.support.database import POSTGRESQL, sqlite_only
from tests.support.letters import add_many, count_again

MIDDLE = make_cursor("receivedAt:desc", (300, 1_764_000_000_000 + 300 * 3_600_000))


@pytest.fixture(autouse=True)
def _mail(account: str, inbox: int) -> None:
    add_many(account, inbox, 600)
    count_again(inbox)
    if POSTGRESQL:
        rows("SELECT set_config('enable_seqscan', 'off', false), set_config('enable_sort', 'off', false)")
        database.obj.run_sql("ANALYZE", ())


def plan(sql: str, params: list[object]) -> str:
    return plan_of(f"{sql} LIMIT 51", params)


def plan_of(sql: str, params: Sequence[object]) -> str:
    explain = "EXPLAIN" if POSTGRESQL else "EXPLAIN QUERY PLAN"
    return "\n".join(str(one[-1]) for one in rows(f"{explain} {sql}", *params))


def noted(monkeypatch: pytest.MonkeyPatch, *modules: ModuleType) -> list[tuple[str, tuple[object, ...]]]:
    """What these ask from now on."""
    asked: list[tuple[str, tuple[object, ...]]] = []

    def noting(sql: str, *params: object) -> list[tuple[object, ...]]:
        asked.append((sql, params))
        return rows(sql, *params)

    for module in modules:
        monkeypatch.setattr(module, "rows", noting)
    return asked


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (Wanted(), "messages_newest"),
        (Wanted(sort="receivedAt:asc"), "messages_newest"),
        (Wanted(filter="read"), "messages_newest"),
        (Wanted(filter="unread"), "messages_unread"),
        (Wanted(cursor=MIDDLE), "messages_newest"),
        (Wanted(sort="from:asc"), "messages_sender"),
        (Wanted(sort="from:desc", filter="unread"), "messages_sender"),
    ],
)
def test_a_page_is_read_from_its_index_in_its_order(inbox: int, wanted: Wanted, index: str) -> None:
    found = plan(*folder_query(inbox, wanted))
    assert index in found, found
    assert "TEMP B-TREE" not in found and "Sort" not in found and "SCAN m" not in found, found


def test_conversations_look_at_their_own_letters_alone(inbox: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at all that is newer in the folder, which at its end would be everything, for each row."""
    asked = noted(monkeypatch, listing)
    page = listing.folder_page(inbox, Wanted(conversations=True, cursor=MIDDLE))
    assert len(page.ids) == 50 and len(asked) == 2
    in_order, newest = (plan_of(sql, params) for sql, params in asked)
    assert "messages_newest" in in_order, in_order
    assert "letters_conversation" in newest, newest
    if not POSTGRESQL:
        assert "SEARCH m USING COVERING INDEX messages_letter (letter_id=?" in newest, newest


@sqlite_only
def test_conversations_are_never_looked_for_among_all_letters(
    account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite, which keeps no statistics, may take the index of an account's letters for as good as theirs."""
    asked = noted(monkeypatch, search, conversations)
    search.of_conversation(account, 1, 50)
    conversations.with_counts([{"conversationId": "1"}, {"conversationId": "4"}], account)
    for sql, params in asked:
        found = plan_of(sql, params)
        assert "SEARCH l USING INDEX letters_conversation (conversation_id=?)" in found, found
    assert len(asked) == 2


def test_a_search_asks_the_index_of_words(account: str) -> None:
    if POSTGRESQL:  # with so few letters it would walk through them by their ids
        rows("SELECT set_config('enable_indexscan', 'off', false)")
    source, condition, params = words.matching(account, [(("rare",), False, False)])
    found = plan(f"SELECT m.id FROM {source} WHERE {condition} AND m.gone_at IS NULL", list(params))
    assert ("letters_words" if POSTGRESQL else "SCAN w VIRTUAL TABLE") in found, found
    assert "messages_letter" in found, found
