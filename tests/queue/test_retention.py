from __future__ import annotations

import pytest

from models import Attachment, Blob, Content, Email, Event, Idempotency, Recipient, SandboxMessage, Tag, Usage
from models.database import rows, write
from services import retention
from services.relay import Relay
from tests.queue.making import NOW, M, attempt, change, claimed, ended, use
from tests.support.relay import add_config, submit
from utils.clock import DAY
from utils.mime import Attachment as File

FINAL = ("sent", "failed", "cancelled")
TABLES = (Email, Content, Recipient, Tag, Attachment, Blob, Event)


def old(relay: Relay, age: int, *states: str) -> list[int]:
    """Emails with all that belongs to them, which ended `age` ago."""
    emails = []
    for n, state in enumerate(states):
        file = File("a", "a/b", f"bytes {n}".encode())
        emails.append(ended(relay, state, NOW - age, tags=["t"], attachments=[file]))
        write(lambda: Event.create(email_id=emails[-1], at=NOW, type="changed"))
        attempt(emails[-1], 1)
    return emails


def untouchable(relay: Relay) -> None:
    """Mail that is not over, however old it is."""
    config = add_config()
    for one in (
        submit(relay, NOW),
        submit(relay, NOW, send_at=NOW + 5),
        claimed(relay, config),
        submit(relay, NOW),
    ):
        change(one, created_at=0, updated_at=0, finished_at=0)
    change(one, state="retry")
    held = ended(relay, "unknown", to=["x@example.com"])
    change(held, created_at=0, updated_at=0, finished_at=0)


def test_contents_go_at_their_age_and_rows_stay(relay: Relay) -> None:
    add_config()
    gone = old(relay, 14 * DAY + 1, *FINAL)
    kept = old(relay, 14 * DAY, *FINAL)
    assert retention.purge_bodies(relay.policy, NOW) == 3
    assert [c.email_id for c in Content.select()] == kept
    assert {a.email_id for a in Attachment.select()} == set(kept)
    assert {e.id for e in Email.select().where(Email.has_content)} == set(kept)
    assert Email.select().count() == 6
    assert Recipient.select().where(Recipient.email_id.in_(gone)).count() == 3
    assert retention.purge_bodies(relay.policy, NOW) == 0


def test_rows_go_at_theirs_with_all_that_belongs_to_them(relay: Relay) -> None:
    add_config()
    old(relay, 90 * DAY + 1, *FINAL)
    retention.purge_bodies(relay.policy, NOW)
    old(relay, 90 * DAY + 1, "sent")  # as where bodies are kept longer
    kept = old(relay, 90 * DAY, "sent")
    assert retention.purge_rows(relay.policy, NOW) == 4
    for table in TABLES:
        assert table.select().count() == 1, table
    assert [e.id for e in Email.select()] == kept
    assert rows("SELECT email_id FROM attempts") == [(kept[0],)]


def test_mail_that_is_not_over_is_never_touched(relay: Relay) -> None:
    untouchable(relay)
    before = [rows(f"SELECT * FROM {table._meta.table_name}") for table in TABLES]
    assert retention.purge_bodies(relay.policy, NOW + 1_000 * DAY) == 0
    assert retention.purge_rows(relay.policy, NOW + 1_000 * DAY) == 0
    assert [rows(f"SELECT * FROM {table._meta.table_name}") for table in TABLES] == before


def test_bytes_that_a_younger_email_has_too_stay(relay: Relay) -> None:
    add_config()
    same = File("a", "a/b", b"same")
    ended(relay, "sent", NOW - 100 * DAY, attachments=[same])
    submit(relay, NOW, attachments=[same])
    retention.purge_rows(relay.policy, NOW)
    assert [bytes(blob.data) for blob in Blob.select()] == [b"same"]


def test_steps_are_bounded_in_rows_and_bytes(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "STEP", 2)
    add_config()
    sizes = []
    monkeypatch.setattr(
        retention, "_drop", lambda ids, drop=retention._drop: (sizes.append(len(ids)), drop(ids))
    )
    for _ in range(5):
        ended(relay, "sent", NOW - 100 * DAY)
    assert retention.purge_rows(relay.policy, NOW) == 5
    assert sizes == [2, 2, 1]
    monkeypatch.setattr(retention, "STEP", 100)
    assert retention._bounded([(1, 2**40), (2, 1)]) == [1], "one that is too large by itself still goes"
    assert retention._bounded([(1, 1), (2, retention.STEP_BYTES), (3, 1)]) == [1]


def test_use_is_kept_for_the_day_window(relay: Relay) -> None:
    config = add_config()
    for minute in (M - 2_000, M - 1_440, M, M + 5):
        use(config, minute, 1)
    assert retention.prune_usage(NOW) == 1
    assert [one.minute for one in Usage.select().order_by(Usage.minute)] == [M - 1_440, M, M + 5]


def test_answers_are_kept_for_a_day(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "STEP", 2)
    for n, age in enumerate([DAY + 1] * 5 + [DAY, 0]):
        write(
            lambda n=n, age=age: Idempotency.create(
                tenant="", endpoint="emails", key=str(n), fingerprint=b"", status=201, answer="{}",
                created_at=NOW - age,
            )
        )  # fmt: skip
    assert retention.prune_idempotency(NOW) == 5
    assert sorted(one.key for one in Idempotency.select()) == ["5", "6"]


def test_the_sandbox_keeps_the_newest(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "STEP", 2)
    for n in range(8):
        write(lambda n=n: SandboxMessage.create(at=n, mail_from="", rcpt_tos=[], size=1, data=b""))
    assert retention.prune_sandbox(keep=3) == 5
    assert [one.at for one in SandboxMessage.select().order_by(SandboxMessage.id)] == [5, 6, 7]
    assert retention.prune_sandbox(keep=3) == 0
    assert retention.prune_sandbox() == 0
