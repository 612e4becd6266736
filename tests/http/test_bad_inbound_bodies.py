"""Bodies of the account side that are wrong in some way: each is refused, and told by which field."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.composing.making import account, draft
from tests.support.app import Caller, new_key, running_app
from tests.support.letters import add_folder, add_letter

OFTEN = settings(
    max_examples=400, deadline=None, database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
WRITTEN = {"to": ["bo@example.com"], "subject": "Hello", "body": "Hello Bo"}
ACCOUNT = {
    "accountName": "Other", "emailAddress": "other@acme.test", "hostname": "127.0.0.1", "port": 9,
    "encryption": "none", "username": "other", "password": "planted",
}  # fmt: skip
_TEXTS = [
    "cc", "bcc", "replyTo", "isHtml", "textBody", "htmlBody", "attachmentIds", "attachments", "inReplyTo", "sendAt",
]  # fmt: skip
# Method and path, a body that is taken, and further fields that it might have.
TAKEN: dict[tuple[str, str], tuple[dict[str, Any], list[str]]] = {
    ("POST", "/api/accounts"): (
        ACCOUNT,
        ["protocol", "provider", "verifyTls", "credentialId", "isSyncEnabled", "syncInterval", "isEnabled", "sentCopy",
         "smtp"],
    ),
    ("PUT", "/api/accounts/{account}"): ({"accountName": "New"}, [*ACCOUNT, "smtp", "credentialId", "syncInterval"]),
    ("POST", "/api/accounts/{account}/test"): ({"timeout": 1}, ["password"]),
    ("POST", "/api/credentials"): ({"password": "planted"}, ["accessToken"]),
    ("PUT", "/api/credentials/mine"): ({"password": "planted"}, ["accessToken"]),
    ("POST", "/api/sync/{account}"): ({"force": True}, ["forceFullSync", "folders", "folderIds"]),
    ("PATCH", "/api/{account}/messages/{message}"): ({"isRead": True}, ["isStarred", "isSpam", "labels", "folderId"]),
    ("POST", "/api/compose/send"): ({"accountId": "{account}", **WRITTEN}, _TEXTS),
    ("POST", "/api/compose/drafts"): ({"accountId": "{account}", **WRITTEN}, _TEXTS),
    ("PUT", "/api/compose/drafts/{draft}"): ({"subject": "New"}, ["accountId", *WRITTEN, *_TEXTS]),
    ("POST", "/api/compose/drafts/{draft}/send"): ({"sendAt": None}, []),
    ("POST", "/api/compose/attachments"): ({"filename": "a.txt", "data": "eA=="}, ["contentType", "contentId"]),
}  # fmt: skip


@pytest.fixture(scope="module")
def ann(tmp_path_factory: Any) -> Iterator[Caller]:
    folder: Path = tmp_path_factory.mktemp("bad-inbound-bodies")
    with running_app(folder, LOG_LEVEL="ERROR", ALLOW_PRIVATE_HOSTS="on") as app:
        yield Caller(app.test_client(), {"X-API-Key": new_key(), "X-Tenant-ID": "acme", "X-User-ID": "ann"})


@pytest.fixture(scope="module")
def ids(ann: Caller) -> dict[str, str]:
    work = account(ann)
    message = add_letter(work, add_folder(work))
    return {"{account}": work, "{message}": str(message), "{draft}": draft(ann, work, **WRITTEN)["draftId"]}


def here(text: str, ids: dict[str, str]) -> str:
    for mark, value in ids.items():
        text = text.replace(mark, value)
    return text


def refused(ann: Caller, ids: dict[str, str], call: tuple[str, str], data: str) -> list[str]:
    """The fields that it names."""
    method, path = call
    answer = ann.call(method, here(path, ids), data=here(data, ids).encode(), content_type="application/json")
    assert answer.status_code == 400, (call, answer.status_code, data)
    assert answer.json["details"], (call, answer.json)
    named = [one["field"] for one in answer.json["details"]]
    assert all(named)
    return named


@OFTEN
@given(
    st.sampled_from(sorted(TAKEN)),
    st.binary(min_size=1, max_size=100).filter(lambda data: not data.isspace()),
)
def test_noise_is_refused(ann: Caller, ids: dict[str, str], call: tuple[str, str], data: bytes) -> None:
    method, path = call
    answer = ann.call(method, here(path, ids), data=data, content_type="application/json")
    assert answer.status_code == 400, (call, answer.status_code, data)
    assert answer.json["details"][0]["field"] == "body"


@OFTEN
@given(st.sampled_from(sorted(TAKEN)), JSON)
def test_what_is_no_object_is_refused(
    ann: Caller, ids: dict[str, str], call: tuple[str, str], value: Any
) -> None:
    refused(ann, ids, call, json.dumps([value]))


FIELDS = [(call, field) for call, (body, more) in sorted(TAKEN.items()) for field in (*body, *more)]


@OFTEN
@given(st.sampled_from(FIELDS), JSON)
def test_the_one_wrong_field_is_named(
    ann: Caller, ids: dict[str, str], wrong: tuple[tuple[str, str], str], value: Any
) -> None:
    call, field = wrong
    named = refused(ann, ids, call, json.dumps(TAKEN[call][0] | {field: [{"x": value}]}))
    assert any(one.split(".")[0] == field for one in named), (call, field, named)


@OFTEN
@given(st.sampled_from(sorted(TAKEN)), st.text(max_size=30), JSON)
def test_an_unknown_field_is_named(
    ann: Caller, ids: dict[str, str], call: tuple[str, str], name: str, value: Any
) -> None:
    named = refused(ann, ids, call, json.dumps(TAKEN[call][0] | {f"x-{name}": value}))
    assert any(one.startswith("x-") for one in named), (call, name, named)


def test_the_bodies_are_taken_as_they_are(ann: Caller, ids: dict[str, str]) -> None:
    """So it is the one wrong field that is refused."""
    for (method, path), (body, _) in TAKEN.items():
        if "messages" in path or path.endswith("/test"):
            continue  # nothing listens where they lead
        answer = ann.call(
            method,
            here(path, ids),
            data=here(json.dumps(body), ids).encode(),
            content_type="application/json",
        )
        assert answer.status_code < 300, (method, path, answer.json)
