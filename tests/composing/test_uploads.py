from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from models import Blob, Upload
from models.database import run, write
from services import retention
from services.composing import uploads
from tests.composing.making import account, draft, file, upload
from tests.support.app import Caller, running_app, tenant_caller
from tests.support.relay import policy
from utils.clock import DAY, now_ms

PATH = "/api/compose/attachments"
MAIL = {"to": ["bo@example.com"], "subject": "Hello", "body": "Hello Bo"}


def form(caller: Caller, parts: dict[str, Any]) -> Any:
    return caller.call("POST", PATH, data=parts, content_type="multipart/form-data")


def part(content: bytes = b"bytes", name: str = "photo.jpg", kind: str | None = "image/jpeg") -> Any:
    return (io.BytesIO(content), name, kind) if kind else (io.BytesIO(content), name)


def test_json_brings_a_file(ann: Caller) -> None:
    response = ann.post(PATH, file("note.txt", b"hello"))
    assert response.status_code == 201, response.json
    shown = response.json
    assert shown.items() >= {
        "filename": "note.txt", "contentType": "text/plain", "size": 5, "contentId": None, "isInline": False,
    }.items()  # fmt: skip
    assert shown["expiresAt"] - shown["createdAt"] == DAY


def test_a_form_brings_a_file(ann: Caller, work: str) -> None:
    content = bytes(range(256)) * 4_000  # larger than what is kept in memory
    response = form(ann, {"file": part(content), "contentId": "photo@acme"})
    assert response.status_code == 201, response.json
    shown = response.json
    assert (shown["filename"], shown["contentType"], shown["size"]) == (
        "photo.jpg",
        "image/jpeg",
        len(content),
    )
    assert (shown["contentId"], shown["isInline"]) == ("photo@acme", True)
    ann.post("/api/compose", MAIL | {"accountId": work, "attachmentIds": [shown["id"]]})
    assert bytes(Blob.get().data) == content


@pytest.mark.parametrize(("name", "kind", "kept"), [
    ("../../etc/passwd", "text/plain; charset=utf-8", ("passwd", "text/plain")),
    ("schön.pdf", "nonsense", ("schön.pdf", "application/octet-stream")),
])  # fmt: skip
def test_what_browsers_say_is_tidied(ann: Caller, name: str, kind: str, kept: tuple[str, str]) -> None:
    shown = form(ann, {"file": part(name=name, kind=kind)}).json
    assert (shown["filename"], shown["contentType"]) == kept


@pytest.mark.parametrize(("parts", "field"), [
    ({}, "file"),
    ({"file": "no file"}, "file"),
    ({"file": [part(), part()]}, "file"),
    ({"file": part(), "other": "x"}, "other"),
    ({"file": part(), "second": part()}, "second"),
    ({"file": part(), "contentId": "<no>"}, "contentId"),
    ({"file": part(), "contentId": ["a@b", "c@d"]}, "file"),
    ({"file": part(name="dir/")}, "filename"),
    ({"file": part(name="x" * 256)}, "filename"),
])  # fmt: skip
def test_a_wrong_form_is_named(ann: Caller, parts: dict[str, Any], field: str) -> None:
    response = form(ann, parts)
    assert response.status_code == 400, response.json
    assert field in {one["field"] for one in response.json["details"]}
    assert Upload.select().count() == 0


@pytest.mark.parametrize("data", [b"", b"--x\r\n", b"--x\r\nnonsense\r\n\r\n--x--", b"\xff" * 1000])
def test_a_broken_form_is_a_400(ann: Caller, data: bytes) -> None:
    for kind in ("multipart/form-data; boundary=x", "multipart/form-data"):
        assert ann.call("POST", PATH, data=data, content_type=kind).status_code == 400


@pytest.mark.parametrize(("changes", "field"), [
    ({"filename": ""}, "filename"), ({"filename": "a\r\nb"}, "filename"), ({"data": "~"}, "data"),
    ({"data": None}, "data"), ({"contentType": "text"}, "contentType"), ({"contentId": "a b"}, "contentId"),
    ({"size": 5}, "size"),
])  # fmt: skip
def test_wrong_json_is_named(ann: Caller, changes: dict[str, Any], field: str) -> None:
    response = ann.post(PATH, file() | changes)
    assert (response.status_code, response.json["details"][0]["field"]) == (400, field)


def test_other_types_are_refused(ann: Caller) -> None:
    assert ann.call("POST", PATH, data=b"x", content_type="text/plain").status_code == 400


def test_the_same_bytes_are_kept_once_for_a_tenant(ann: Caller, bob: Caller, eve: Caller) -> None:
    for caller in (ann, ann, bob):
        upload(caller, content=b"same")
    assert Blob.select().count() == 1
    upload(eve, content=b"same")
    assert Blob.select().count() == 2


def test_what_no_message_could_carry_is_refused(tmp_path: Path) -> None:
    with running_app(tmp_path, MAX_MESSAGE_MB="1") as app:
        ann = tenant_caller(app, "acme", user="ann")
        assert ann.post(PATH, file(content=b"x" * 900_000)).status_code == 413
        assert form(ann, {"file": part(b"x" * 900_000)}).status_code == 413
        assert form(ann, {"file": part(b"x" * 3_000_000)}).status_code == 413
        assert ann.post(PATH, file(content=b"x" * 600_000)).status_code == 201
        assert Upload.select().count() == 1


def test_a_user_may_not_fill_the_disk(tmp_path: Path) -> None:
    with running_app(tmp_path, MAX_MESSAGE_MB="1") as app:
        ann = tenant_caller(app, "acme", user="ann")
        now = now_ms()
        upload(ann)
        write(lambda: run("UPDATE uploads SET size = ?", uploads.MOST_UNOWNED * 1_000_000))
        response = ann.post(PATH, file())
        assert (response.status_code, response.json["code"]) == (507, "TOO_MANY_UPLOADS")
        assert uploads.prune(now + 2 * DAY) == 1
        assert ann.post(PATH, file()).status_code == 201


def test_without_an_owner_it_is_kept_for_a_day(ann: Caller, work: str) -> None:
    used = upload(ann, "used")
    draft(ann, work, attachmentIds=[used])
    lonely, now = upload(ann, "lonely"), now_ms()
    assert uploads.prune(now + DAY - 60_000) == 0
    assert uploads.prune(now + DAY + 1) == 1
    assert [one.id for one in Upload.select()] == [used]
    assert Blob.select().count() == 1
    assert ann.post("/api/compose", MAIL | {"accountId": work, "attachmentIds": [lonely]}).status_code == 404


def test_bytes_live_as_long_as_one_who_holds_them(tmp_path: Path, ann: Caller, work: str) -> None:
    """An email, an upload and a draft share them; whoever goes last takes them along."""
    mine = upload(ann, content=b"shared")
    email_id = ann.post("/api/compose", MAIL | {"accountId": work, "attachmentIds": [mine]}).json["email_id"]
    saved = draft(ann, work, attachments=[file(content=b"shared")])
    assert Blob.select().count() == 1
    write(lambda: run("UPDATE emails SET state = 'sent', finished_at = 1"))
    assert retention.purge_bodies(policy(tmp_path), now_ms()) == 1
    assert Blob.select().count() == 1
    assert uploads.prune(now_ms() + 2 * DAY) == 1
    assert Blob.select().count() == 1
    assert ann.get(f"/api/emails/{email_id}").json["attachments"] == []
    ann.delete(f"/api/compose/drafts/{saved['draftId']}")
    assert Blob.select().count() == 0


def test_an_email_keeps_what_its_upload_brought(ann: Caller, work: str) -> None:
    mine = upload(ann, content=b"kept")
    email_id = ann.post("/api/compose", MAIL | {"accountId": work, "attachmentIds": [mine]}).json["email_id"]
    uploads.prune(now_ms() + 2 * DAY)
    assert b"a2VwdA==" in ann.get(f"/api/emails/{email_id}/raw").get_data()


def test_an_account_is_not_needed(ann: Caller) -> None:
    account(ann, smtp_port=None)
    assert upload(ann)
