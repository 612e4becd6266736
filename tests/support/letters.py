"""Accounts, folders and letters as sync would have stored them, for tests that need no server."""

from __future__ import annotations

import json
from typing import Any

from models.account import Account
from models.database import rows, run_many, write
from models.inbox import Folder, Letter, Message, Part
from services.inbox.threads import Threaded, conversations_of
from utils.clock import HOUR
from utils.subjects import base_subject

NOW = 1_764_000_000_000
TENANT, USER = "tenant-a", "ann"


def add_account(tenant: str = TENANT, user: str = USER, account_id: str = "", **fields: Any) -> str:
    """Its id. Nothing listens where it points to."""
    defaults: dict[str, Any] = {
        "id": account_id or f"account-of-{tenant}-{user}", "tenant": tenant, "user": user, "name": "Work",
        "email_address": f"{user}@{tenant}.test", "hostname": "127.0.0.1", "port": 9, "encryption": "none",
        "username": user, "credential_id": "none", "created_at": NOW, "updated_at": NOW,
    }  # fmt: skip
    return str(write(lambda: Account.create(**defaults | fields).id))


def add_folder(account_id: str, name: str = "INBOX", role: str = "inbox", **fields: Any) -> int:
    defaults: dict[str, Any] = {
        "account_id": account_id, "raw_name": name.encode(), "name": name, "separator": "/", "role": role,
        "uidvalidity": 1, "synced_at": NOW,
    }  # fmt: skip
    return int(write(lambda: Folder.create(**defaults | fields).id))


def add_letter(
    account_id: str, folder_id: int, subject: str = "Hello", text: str = "Hello Ann", **fields: Any
) -> int:
    """The id of its message. `parts`: fields of its attachments; `flags`: of the message; `copies`: other folders."""
    parts = fields.pop("parts", [])
    flags = sorted(fields.pop("flags", []))
    copies = fields.pop("copies", [])
    sender = fields.pop("sender", ["Bob", "bob@example.com"])
    to = fields.pop("to", [["Ann", "ann@example.com"]])
    values: dict[str, Any] = {
        "account_id": account_id, "subject": subject, "base_subject": base_subject(subject), "sender": sender,
        "recipients": {"to": to}, "received_at": NOW, "sent_at": NOW, "preview": text[:200], "has_body": True,
        "people": " ".join(part for person in [sender, *to] for part in person), "text": text, "created_at": NOW,
    } | fields  # fmt: skip

    def job() -> int:
        letter = Letter.create(**values)
        letter.conversation_id = conversations_of(account_id, [threaded(letter)])[letter.id]
        letter.save(only=[Letter.conversation_id])
        for part in parts:
            Part.create(**{"letter_id": letter.id, "section": "2"} | part)
        return min(_add_copy(letter, folder, flags) for folder in (folder_id, *copies))

    return write(job)


def threaded(letter: Letter) -> Threaded:
    return Threaded(
        letter.id, letter.thread_id, letter.message_id, letter.in_reply_to, letter.refs, letter.base_subject
    )


def _add_copy(letter: Letter, folder_id: int, flags: list[str]) -> int:
    (last,) = rows("SELECT coalesce(max(uid), 0) FROM messages WHERE folder_id = ?", folder_id)[0]
    message = Message.create(
        account_id=letter.account_id, folder_id=folder_id, uidvalidity=1, uid=last + 1, letter_id=letter.id,
        received_at=letter.received_at, sender=(letter.sender or ["", ""])[1], flags=flags,
        is_read="\\Seen" in flags, is_starred="\\Flagged" in flags, created_at=NOW, updated_at=NOW,
    )  # fmt: skip
    folder = Folder.get_by_id(folder_id)
    folder.message_count += 1
    folder.unread_count += "\\Seen" not in flags
    folder.save()
    return int(message.id)


_WORDS = (
    "account agenda answer budget café changed contract customer delivery draft email figure invoice Köln late meeting"
    " monday note offer order payment plan price project question reminder report request review ship sprint status"
    " team ticket travel update urgent vacation version weekly"
).split()


def add_many(account_id: str, folder_id: int, count: int, start: int = 0) -> None:
    """Letters an hour apart, the later the newer; each fifth unread. Every word of 40 is in many, `needleN` in one,
    `rare` in each 500th."""

    def job() -> None:
        letters, messages = [], []
        for number in range(start, start + count):
            at = NOW + number * HOUR
            picked = [_WORDS[(number * 7 + step * step) % len(_WORDS)] for step in range(60)]
            if number % 500 == 0:
                picked.append("rare")
            subject = f"{picked[0]} {picked[1]} {number}"
            name, address = f"Person {number % 700}", f"person{number % 700}@example{number % 50}.com"
            text = " ".join(picked) + f" needle{number}"
            letters.append((
                number + 1, account_id, f"<{number}@example.com>", "", "", subject, subject.lower(),
                json.dumps([name, address]), json.dumps({"to": [["Ann", "ann@example.com"]]}), at, at, 2_000,
                text[:200], f"{name} {address} Ann ann@example.com", True, text, number + 1 - number % 3, at,
            ))  # fmt: skip
            seen = number % 5 != 0
            flags = json.dumps(["\\Seen"] if seen else [])
            messages.append(
                (account_id, folder_id, 1, number + 1, number + 1, at, address, flags, seen, False, 0, at, at)
            )
        run_many(
            "INSERT INTO letters (id, account_id, message_id, in_reply_to, refs, subject, base_subject, sender,"
            " recipients, sent_at, received_at, size, preview, people, has_body, text, conversation_id, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            letters,
        )
        run_many(
            "INSERT INTO messages (account_id, folder_id, uidvalidity, uid, letter_id, received_at, sender, flags,"
            " is_read, is_starred, modseq, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            messages,
        )

    write(job)


def count_again(folder_id: int) -> None:
    def job() -> None:
        (total, unread) = rows(
            "SELECT count(*), count(*) FILTER (WHERE NOT is_read) FROM messages WHERE folder_id = ?",
            folder_id,
        )[0]
        Folder.update(message_count=total, unread_count=unread).where(Folder.id == folder_id).execute()

    write(job)
