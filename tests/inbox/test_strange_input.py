"""Whatever is asked for in a path or query is answered; nothing of it is an accident of ours."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controllers import attachments
from services.errors import InvalidInputError
from services.inbox.download import Download
from services.inbox.listing import SORTS, read_cursor
from tests.support.app import Caller
from tests.support.letters import add_letter

WHERE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.just("receivedAt:desc"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=6,
)
TRIPLES = st.tuples(
    st.sampled_from(SORTS), st.integers(-(2**64), 2**64) | st.text(max_size=8), st.integers(-(2**64), 2**64)
)


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


CURSORS = st.text(min_size=1, max_size=60) | JSON.map(encoded) | TRIPLES.map(list).map(encoded)


@given(cursor=CURSORS, order=st.sampled_from(SORTS))
def test_a_cursor_is_read_or_refused(cursor: str, order: str) -> None:
    try:
        key, last_id = read_cursor(cursor, order)
    except InvalidInputError:
        return
    assert isinstance(key, str if order.startswith("from") else int) and 0 < last_id < 2**63
    str(key).encode()


@WHERE
@given(
    cursor=CURSORS,
    sort=st.sampled_from(SORTS),
    more=st.sampled_from(["", "&conversations=true", "&filter=unread"]),
)
def test_pages_by_any_cursor(
    ann: Caller, account: str, inbox: int, cursor: str, sort: str, more: str
) -> None:
    told = quote(cursor.encode("utf-8", "replace"))
    for path in (
        f"folders/{inbox}/messages?sort={sort}{more}&cursor={told}",
        f"messages?q=hello&cursor={told}",
    ):
        assert ann.get(f"/api/{account}/{path}").status_code in (200, 400)


@WHERE
@given(
    name=st.integers(-5, 2**70).map(str) | st.text(min_size=1, max_size=12),
    query=st.sampled_from(
        ["", "?expires=1&signature=" + "0" * 20, "?expires=x&signature=0", "?signature=" + "é" * 20]
    ),
)
def test_ids_of_all_kinds(ann: Caller, account: str, inbox: int, name: str, query: str) -> None:
    add_letter(account, inbox, parts=[{"filename": "a.pdf"}])
    told = quote(name.encode("utf-8", "replace"), safe="")
    for path in (f"attachments/{told}/download{query}", f"messages/{told}", f"folders/{told}/messages"):
        answer = ann.get(f"/api/{account}/{path}")
        assert answer.status_code in (200, 400, 403, 404, 409), (path, answer.status_code)


@WHERE
@given(
    filename=st.text(max_size=60).filter(lambda one: "\0" not in one),
    kind=st.sampled_from(["image/png", "text/html"]),
)
def test_a_filename_is_one_header_and_comes_back(ann: Caller, account: str, filename: str, kind: str) -> None:
    usable = filename.encode("utf-8", "replace").decode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attachments, "download", lambda *_: Download(usable, kind, iter([b"x"]), 1))
        answer = ann.get(f"/api/{account}/attachments/1/download")
    place, _, told = answer.headers["Content-Disposition"].partition("; filename*=UTF-8''")
    assert (place, unquote(told)) == ("inline" if kind == "image/png" else "attachment", usable)
    assert answer.content_type == ("image/png" if kind == "image/png" else "application/octet-stream")
    assert told.isascii() and not set(told) & set('\r\n";, ')
