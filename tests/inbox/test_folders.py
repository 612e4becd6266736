"""The folders of an account, over HTTP."""

from __future__ import annotations

from apiflask import APIFlask

from tests.inbox.conftest import user_of
from tests.support.app import Caller
from tests.support.letters import NOW, TENANT, add_account, add_folder, add_letter


def test_folders_come_with_their_counts_and_what_they_are_for(ann: Caller, account: str, inbox: int) -> None:
    work = add_folder(account, "Work", "custom")
    add_folder(account, "Work/Plans", "custom", parent_id=work)
    add_folder(account, "[Gmail]/Sent Mail", "sent")
    add_letter(account, inbox)
    add_letter(account, inbox, flags=["\\Seen"])
    answer = ann.get(f"/api/{account}/folders").json
    assert answer["total"] == 4
    assert answer["folders"][0] == {
        "id": str(inbox), "accountId": account, "name": "INBOX", "displayName": "Inbox", "type": "inbox",
        "parentId": None, "isSelectable": True, "messageCount": 2, "unreadCount": 1, "syncedAt": NOW,
    }  # fmt: skip
    assert [(one["displayName"], one["type"], one["parentId"]) for one in answer["folders"][1:]] == [
        ("Sent Mail", "sent", None), ("Work", "custom", None), ("Plans", "custom", str(work)),
    ]  # fmt: skip


def test_strangers_find_no_account(app: APIFlask, account: str, inbox: int) -> None:
    for caller in (user_of(app, TENANT, "bob"), user_of(app, "tenant-b", "ann")):
        for path in ("folders", f"folders/{inbox}/messages", "messages?q=x"):
            assert caller.get(f"/api/{account}/{path}").status_code == 404


def test_one_account_s_folder_is_none_of_another_s(ann: Caller, account: str, inbox: int) -> None:
    other = add_account(account_id="another", email_address="other@x.test")
    assert ann.get(f"/api/{other}/folders").json == {"folders": [], "total": 0}
    assert ann.get(f"/api/{other}/folders/{inbox}/messages").status_code == 404
    assert ann.get(f"/api/{other}/messages?q=x&folderId={inbox}").status_code == 404
