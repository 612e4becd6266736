"""What a restored database must not take for granted, since the one that was lost went on after the backup.

Everything is one commit on the restored copy, before it is put in place, in statements over whole tables: a backup may
hold a million waiting emails.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from models.database import row, rows, run, write
from models.email import OnUnknown, RecipientState, State
from models.smtp_config import SmtpConfig
from services import quota
from services.backup_file import INFO, Report
from utils.clock import HOUR, SECOND, iso

# More than one box accepts, so that an id given after the backup is never given to another email.
IDS_A_SECOND = 10_000
LEAST_GAP = 1_000_000
SMALL_GAP = 1_000  # for what people make by hand: configs, keys
IDS_SKIPPED = "ids_skipped"  # the switch that remembers the gaps, for whoever counts by ids

_UNLEASED = "lease = NULL, instance_id = NULL, dot_at = NULL, charged_minute = NULL"
_OPEN_RECIPIENTS = f"state IN ('{RecipientState.PENDING}', '{RecipientState.RETRY}')"


@dataclass(frozen=True, slots=True)
class Changes:
    """`held` until (ms) by config name: limits that count as used up."""

    held: int = 0
    resent: int = 0
    untouched: int = 0  # waiting emails whose turn has not come yet, so they cannot have gone
    next_id: int = 0
    limits: dict[str, int] = field(default_factory=dict)


def forget_backup() -> Changes:
    """Nothing ran since: the database goes on as it is."""

    def job() -> Changes:
        run(f"DROP TABLE IF EXISTS {INFO}")
        return Changes(untouched=_count(f"state IN {_waiting()}"))

    return write(job, durable=True)


def settle(report: Report, now: int, *, resend: bool, trust_usage: bool) -> Changes:
    """Hold or requeue what may have gone since, end all leases, leave a gap in the ids, use up the limits."""

    def job() -> Changes:
        held, resent = _settle_mail(report, now, resend)
        _forget_processes()
        next_id = _leave_gaps(report, now)
        limits = {} if trust_usage else _use_up_limits(report, now)
        run(f"DROP TABLE IF EXISTS {INFO}")
        waiting = _count(f"state IN {_waiting()}")
        return Changes(held, resent, waiting - resent, next_id, limits)

    return write(job, durable=True)


def _settle_mail(report: Report, now: int, resend: bool) -> tuple[int, int]:
    """(held, sent again). In doubt is all whose turn has come; each gets an `unknown` event either way."""
    why = f"restored from a backup of {iso(report.taken_at)}: it may have been sent since"
    _find_doubtful(now, resend)
    _record_handed_over(why, now)
    run(
        "INSERT INTO events (email_id, at, type, detail) SELECT id, ?, 'unknown', ? || iif(hold, '', '; it is sent"
        " again') FROM in_doubt",
        now, why,
    )  # fmt: skip
    _hold(why, now)
    _queue_the_rest(now)
    found = row("SELECT total(hold), total(NOT hold) FROM in_doubt")
    run("DROP TABLE temp.in_doubt")
    assert found is not None
    return int(found[0]), int(found[1])


def _find_doubtful(now: int, resend: bool) -> None:
    run("DROP TABLE IF EXISTS temp.in_doubt")
    run(
        "CREATE TEMP TABLE in_doubt AS SELECT id, on_unknown = ? OR ? AS hold FROM emails WHERE state IN (?, ?)"
        " OR (state IN (?, ?) AND available_at <= ?)",
        OnUnknown.HOLD, not resend, State.QUEUED, State.SENDING, State.RETRY, State.SCHEDULED, now,
    )  # fmt: skip


def _hold(why: str, now: int) -> None:
    """Recipients that were put off as well: a later attempt may have reached them."""
    run(
        f"UPDATE recipients SET state = ? WHERE {_OPEN_RECIPIENTS} AND email_id IN"
        " (SELECT id FROM in_doubt WHERE hold)",
        RecipientState.UNKNOWN,
    )  # fmt: skip
    run(
        f"UPDATE emails SET state = ?, recipient_count = 0, error_message = ?, updated_at = ?, {_UNLEASED}"
        " WHERE id IN (SELECT id FROM in_doubt WHERE hold)",
        State.UNKNOWN, f"unknown: {why}", now,
    )  # fmt: skip


def _queue_the_rest(now: int) -> None:
    """Of what a process had claimed. All open recipients count again, not only those of its latest transaction."""
    run(
        f"UPDATE emails SET state = ?, updated_at = ?, {_UNLEASED}, recipient_count = (SELECT count(*) FROM recipients"
        f" WHERE email_id = emails.id AND {_OPEN_RECIPIENTS}) WHERE state = ?",
        State.QUEUED, now, State.SENDING,
    )  # fmt: skip


def _record_handed_over(why: str, now: int) -> None:
    """Emails whose final dot was out: the attempt is told in their timelines."""
    run(
        "INSERT INTO attempts (email_id, smtp_config_id, instance_id, claimed_at, dot_at, finished_at, stage, outcome,"
        " blame, reply) SELECT id, carrier_id, instance_id, claimed_at, dot_at, ?, 'dot', 'unknown', 'nobody', ?"
        " FROM emails WHERE state = ? AND dot_at IS NOT NULL",
        now, why, State.SENDING,
    )  # fmt: skip


def _forget_processes() -> None:
    for table in ("slots", "leaders", "instances"):
        run(f"DELETE FROM {table}")
    run("UPDATE health SET probe_instance = NULL")


def _leave_gaps(report: Report, now: int) -> int:
    """The next email's id at the earliest."""
    gap = max(LEAST_GAP, (now - report.taken_at) // SECOND * IDS_A_SECOND)
    for table in (
        "emails",
        "messages",
        "letters",
        "parts",
    ):  # a message that was moved meanwhile is another row now
        _skip(table, gap)
    for table in ("smtp_configs", "api_keys", "sandbox_messages", "folders", "suppressions"):
        _skip(table, SMALL_GAP)
    run(
        "INSERT INTO switches (name, value, changed_at) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET"
        " value = value + excluded.value, changed_at = excluded.changed_at",
        IDS_SKIPPED, gap, now,
    )  # fmt: skip
    return report.last_id + gap + 1


def _skip(table: str, count: int) -> None:
    """AUTOINCREMENT goes on from what sqlite_sequence says; a table without rows has no line there yet."""
    if not run("UPDATE sqlite_sequence SET seq = seq + ? WHERE name = ?", count, table):
        run("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", table, count)


def _use_up_limits(report: Report, now: int) -> dict[str, int]:
    """Count against each limit the most that can have been sent since: the relay kept to it, so no more than it."""
    hours = max(1, -(-(now - report.taken_at) // HOUR))
    until = {}
    for config in SmtpConfig.select():
        used = quota.windows_of(config, now)
        last_hour, before = most_since(used, hours)
        minute = quota.minute_of(now)
        quota.charge(config.id, minute, last_hour, last_hour)
        quota.charge(config.id, minute - quota.HOUR_BUCKETS - 1, before, before)
        free = quota.windows_of(config, now).next_free_at
        if free is not None:
            until[str(config.name)] = free
    return until


def most_since(used: quota.Windows, hours: int) -> tuple[int, int]:
    """The most sent (in the last hour, before that) by a config in the `hours` since a backup; 0 without limits."""
    hour_room = max(0, used.hour_limit - used.hour_used)
    day_room = max(0, used.day_limit - used.day_used)
    if not used.day_limit:
        return hour_room, 0
    if not used.hour_limit:
        return day_room, 0
    last_hour = min(hour_room, day_room)
    return last_hour, min(day_room - last_hour, used.hour_limit * (hours - 1))


def _waiting() -> str:
    return f"('{State.QUEUED}', '{State.RETRY}', '{State.SCHEDULED}', '{State.SENDING}')"


def _count(condition: str) -> int:
    return int(rows(f"SELECT count(*) FROM emails WHERE {condition}")[0][0])
