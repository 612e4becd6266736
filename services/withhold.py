"""What was accepted before its recipient was suppressed: it is left out when its email's turn comes."""

from __future__ import annotations

from collections import Counter

from models.database import marks, row, rows, run, run_many, run_values
from models.email import RecipientState
from services.settle import conclude
from services.suppressions import told

_OPEN = f"('{RecipientState.PENDING}', '{RecipientState.RETRY}')"


def withhold(email_ids: list[int], now: int) -> Counter[int]:
    """How many recipients of each of these queued emails were left out; whoever has none left is `failed`, or `sent`
    where somebody got it before. Inside the write job that claims them."""
    found = rows(
        "SELECT r.email_id, r.position, r.address, s.reason FROM recipients r JOIN emails e ON e.id = r.email_id"
        ' JOIN suppressions s ON s.tenant = e.tenant AND s.address = lower(r.address /*pg COLLATE "C"*/)'
        f" WHERE r.email_id IN ({marks(len(email_ids))}) AND r.state IN {_OPEN}",
        *email_ids,
    )
    run_many(
        "UPDATE recipients SET state = ? WHERE email_id = ? AND position = ?",
        [(RecipientState.SUPPRESSED, email_id, position) for email_id, position, *_ in found],
    )
    run_values(
        "INSERT INTO events (email_id, at, type, detail) VALUES {}",
        [(email_id, now, "suppressed", told(address, reason)) for email_id, _, address, reason in found],
    )
    fewer = Counter(email_id for email_id, *_ in found)
    for email_id, number in fewer.items():
        _count_down(email_id, number, now)
    return fewer


def _count_down(email_id: int, number: int, now: int) -> None:
    email = row("SELECT recipient_count, retry_count, lost_count FROM emails WHERE id = ?", email_id)
    assert email is not None
    if email[0] > number:
        run("UPDATE emails SET recipient_count = recipient_count - ? WHERE id = ?", number, email_id)
        return
    conclude(
        email_id, now, again=None, sort_step=0, retry_count=email[1], lost_count=email[2],
        summary="nobody is left who is not suppressed",
    )  # fmt: skip
