"""Two people who write to each other: each one's mail goes out over SMTP, into the other's mailbox, and is synced."""

from __future__ import annotations

from typing import Any

from apiflask import APIFlask

from tests.composing.sent import Desk, desk
from tests.support.app import Caller
from tests.support.relay import delivering, wait_for
from tests.sync.test_http import ended, polling, start


def carry(app: APIFlask, sender: Desk, receiver: Desk, *mails: bytes) -> list[dict[str, Any]]:
    """As the servers between them do. What the receiver's inbox shows once all have come."""
    for raw in mails:
        receiver.dovecot.deliver(receiver.user, raw, sender.user)

    def come() -> list[dict[str, Any]]:
        assert ended(receiver.caller, start(receiver.caller, receiver.account_id))["status"] == "success"
        folders = receiver.caller.get(f"/api/{receiver.account_id}/folders").json["folders"]
        inbox = next(one["id"] for one in folders if one["type"] == "inbox")
        path = f"/api/{receiver.account_id}/folders/{inbox}/messages"
        found: list[dict[str, Any]] = receiver.caller.get(path).json["messages"]
        return found if len(found) == len(mails) else []

    with polling(app):
        shown: list[dict[str, Any]] = wait_for(come, 30)
    return shown


def wire(at: Desk, email_id: int) -> bytes:
    raw: bytes = at.caller.get(f"/api/emails/{email_id}/raw").get_data()
    return raw


def test_an_answer_stands_in_the_timeline_of_what_it_answers(app: APIFlask, ann: Caller, bob: Caller) -> None:
    with desk(app, ann) as at_anns, desk(app, bob) as at_bobs, delivering(at_anns.relay, workers=1):
        first, other = (at_anns.submit(to=[at_bobs.user], subject=one) for one in ("Lunch?", "Other"))
        wait_for(lambda: {at_anns.state(one) for one in (first, other)} == {"sent"})
        (message,) = carry(app, at_anns, at_bobs, wire(at_anns, first))
        answer = at_bobs.submit(to=[at_anns.user], subject="Re: Lunch?", inReplyTo=message["id"])
        wait_for(lambda: at_bobs.state(answer) == "sent")
        again = at_bobs.submit(to=[at_anns.user], subject="Re: Lunch?", inReplyTo=message["id"])
        machine = wire(at_bobs, answer).replace(b"Subject:", b"Auto-Submitted: auto-replied\r\nSubject:", 1)
        machine = machine.replace(at_bobs.message_id(answer).encode(), b"<vacation@bobs.test>")
        carry(app, at_bobs, at_anns, wire(at_bobs, answer), wire(at_bobs, again), machine)
    lines = [
        (one["type"], one["detail"])
        for one in ann.get(f"/api/emails/{first}/events").json
        if "replied" in one["type"]
    ]
    told = f"{at_bobs.user}: Re: Lunch?"
    assert sorted(lines) == [("auto_replied", told), ("replied", told), ("replied", told)]
    assert not [one for one in ann.get(f"/api/emails/{other}/events").json if "replied" in one["type"]]
