"""Claiming: which config has the most urgent mail that may go, and a small batch of it, leased.

Choice, lease and quota reservation are one transaction, so two workers, in whatever processes, can neither take
the same email nor overspend a limit.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from models.database import FOR_KEY_SHARE, SKIP_LOCKED, database, marks, row, rows, run, write
from models.email import State
from models.smtp_config import Health, SmtpConfig
from services import health, quota, readiness, suppressions, withhold
from services.quota import lock_config
from services.switches import RELAY_PAUSED
from utils.clock import MINUTE

# Mail whose turns lie within the same quarter of an hour is equally urgent: tenants alternate in it, so that one
# tenant's thousand does not go before another's one. It loosens the order between tenants by that much, no more.
TURN = 15 * MINUTE

_ALIVE = "SELECT 1 FROM instances WHERE id = ? AND ended_at IS NULL"


class Queued(NamedTuple):
    """What a claim needs to know of a waiting email."""

    id: int
    sort_at: int
    recipient_count: int
    size: int
    expires_at: int | None


@dataclass(frozen=True, slots=True)
class Claim:
    """A batch leased by one token to one worker, to go through one config."""

    config: SmtpConfig
    lease: int
    instance_id: int
    claimed_at: int
    emails: tuple[Queued, ...]
    opens_connection: bool  # a slot was taken for a new connection; whoever closes it gives the slot back
    probe: bool = False  # the one try of a half-open breaker


class Candidate(NamedTuple):
    """A config that has mail which may go now. `head`: the turn of its most urgent email."""

    id: int
    weight: int
    hourly_limit: int
    daily_limit: int
    limit_unit: str
    tenant: str
    max_connections: int
    window: float
    open_until: int | None
    connections: int
    head: int

    @property
    def may_connect(self) -> bool:
        """Whether it may have another connection."""
        allowed = readiness.connections_allowed(self.max_connections, self.window, self.open_until)
        return self.connections < allowed


def candidates(now: int) -> Iterator[Candidate]:
    """Most urgent first, equals at random by weight. Reads only.

    Asked at every wake-up, so it takes a single statement to find that there is nothing to do.
    """
    found = rows(
        "SELECT * FROM (SELECT c.id, c.weight, c.hourly_limit, c.daily_limit, c.limit_unit, c.tenant,"
        " c.max_connections, h.window, h.open_until,"
        " (SELECT coalesce(sum(connections), 0) FROM slots s WHERE s.smtp_config_id = c.id), (SELECT min(("
        "SELECT e.sort_at FROM emails e WHERE e.state = 'queued' AND e.lane_id = r.lane_id ORDER BY e.sort_at LIMIT 1))"
        " FROM routes r WHERE r.smtp_config_id = c.id) AS head"
        f" FROM smtp_configs c JOIN health h ON h.smtp_config_id = c.id WHERE {readiness.UNHELD}"
        f" AND NOT {RELAY_PAUSED}) AS heads WHERE head IS NOT NULL",
        now, now,
    )  # fmt: skip
    ranked = [Candidate(*one) for one in found]
    if len(ranked) > 1:
        ranked.sort(key=lambda one: (one.head, -(random.random() ** (1 / max(one.weight, 0.01)))))
    return (one for one in ranked if quota.room(one, now) != 0)


def claim(
    config_id: int, instance_id: int, now: int | None, want: int, *, connected: bool, known: SmtpConfig | None = None,
    lease: int | None = None,
) -> Claim | None:  # fmt: skip
    """Lease up to `want` emails for a config; None when it is held or nothing waits.

    `now`: None is the database's own time. `connected`: the worker has an open connection to it; otherwise a free
    slot is needed, and taken. `known`: the settings that the worker knows; None too when they changed since.
    `lease`: the token that the worker has already.
    """
    wanted = _Wanted(config_id, instance_id, now, want, connected, known, lease)
    return write(lambda: _claim(wanted), durable=True)


class _Wanted(NamedTuple):
    config_id: int
    instance_id: int
    now: int | None
    want: int
    connected: bool
    known: SmtpConfig | None
    lease: int | None


def _claim(wanted: _Wanted) -> Claim | None:
    config_id, instance_id = wanted.config_id, wanted.instance_id
    lock_config(config_id)
    now = database.obj.clock() if wanted.now is None else wanted.now
    found = _standing(config_id, instance_id)
    if found is None:
        return None
    version, state = found
    config = wanted.known or SmtpConfig.get_by_id(config_id)
    if version != config.updated_at or readiness.standing_hold(config, state, now) is not None:
        return None
    if not wanted.connected and not _has_free_slot(config, state):
        return None
    probe = state.open_until is not None
    if probe and wanted.lease is not None:
        return None
    emails = _affordable(config, now, _in_turn(config, now, 1 if probe else wanted.want))
    if emails and suppressions.are_there():
        emails = _without_suppressed(emails, now)
    if not emails:
        return None
    lease = secrets.randbits(62) if wanted.lease is None else wanted.lease
    database.obj.defer_sync()  # until the dot's commit, without which a claim is worth nothing
    _lease(config_id, instance_id, lease, now, emails)
    quota.charge(config_id, quota.minute_of(now), len(emails), sum(one.recipient_count for one in emails))
    if probe:
        health.begin_probe(config_id, instance_id)
    if not wanted.connected:
        health.take_slot(config_id, instance_id)
    return Claim(config, lease, instance_id, now, tuple(emails), not wanted.connected, probe)


def _standing(config_id: int, instance_id: int) -> tuple[int, Health] | None:
    """The version of a config's settings, and its health; None when nobody may claim, or not this instance: whoever
    was taken for dead may claim nothing, for no one would ever take that back."""
    found = row(
        "SELECT c.updated_at, h.paused, h.pause_until, h.pause_reason, h.open_until, h.open_reason, h.probe_instance,"
        ' h."window" FROM smtp_configs c JOIN health h ON h.smtp_config_id = c.id WHERE c.id = ?'
        f" AND NOT {RELAY_PAUSED}",
        config_id,
    )
    if found is None or row(f"{_ALIVE} {FOR_KEY_SHARE}", instance_id) is None:
        return None
    version, *state = found
    names = ("paused", "pause_until", "pause_reason", "open_until", "open_reason", "probe_instance", "window")
    return version, Health(smtp_config_id=config_id, **dict(zip(names, state, strict=True)))


def _has_free_slot(config: SmtpConfig, state: Health) -> bool:
    allowed = readiness.connections_allowed(config.max_connections, state.window, state.open_until)
    return readiness.connections_open(config.id) < allowed


def _lease(config_id: int, instance_id: int, lease: int, now: int, emails: list[Queued]) -> None:
    run(
        "UPDATE emails SET state = ?, lease = ?, instance_id = ?, carrier_id = ?, claimed_at = ?, dot_at = NULL,"
        f" charged_minute = ?, updated_at = ? WHERE state = 'queued' AND id IN ({marks(len(emails))})",
        State.SENDING, lease, instance_id, config_id, now, quota.minute_of(now), now, *(one.id for one in emails),
    )  # fmt: skip


def _affordable(config: SmtpConfig, now: int, emails: Iterable[Queued]) -> list[Queued]:
    """As many, in order, as the quota has room for: a large one is not overtaken, or it would wait for ever."""
    room = quota.room(config, now)
    chosen = []
    for email in emails:
        cost = email.recipient_count if config.limit_unit == "recipients" else 1
        if room is not None and (room := room - cost) < 0:
            break
        chosen.append(email)
    return chosen


def _without_suppressed(emails: list[Queued], now: int) -> list[Queued]:
    """Less the recipients that were suppressed since their email was accepted, and the emails that have no others."""
    fewer = withhold.withhold([one.id for one in emails], now)
    counts = [(one, one.recipient_count - fewer.get(one.id, 0)) for one in emails]
    return [one._replace(recipient_count=count) for one, count in counts if count > 0]


def _in_turn(config: SmtpConfig, now: int, want: int) -> list[Queued]:
    """The `want` most urgent emails of the lanes that the config serves, tenants alternating within a turn."""
    lanes = rows(
        "SELECT * FROM (SELECT r.lane_id, l.tenant, (SELECT sort_at FROM emails e WHERE e.state = 'queued'"
        " AND e.lane_id = r.lane_id ORDER BY sort_at LIMIT 1) AS head FROM routes r JOIN lanes l ON l.id = r.lane_id"
        " WHERE r.smtp_config_id = ?) heads WHERE head IS NOT NULL ORDER BY head LIMIT 64",
        config.id,
    )
    fits = _fitting(config)
    waiting = [(tenant, _front(lane, want, fits, now)) for lane, tenant, _ in lanes]
    if len(waiting) == 1:
        return waiting[0][1]
    return _alternate(waiting)[:want]


def _alternate(waiting: list[tuple[str, list[Queued]]]) -> list[Queued]:
    by_tenant: dict[str, list[Queued]] = {}
    for tenant, emails in waiting:
        by_tenant.setdefault(tenant, []).extend(emails)
    ranked = []
    for emails in by_tenant.values():
        chance = random.random()  # which tenant begins: otherwise batches of one would always serve the same
        place: dict[int, int] = {}
        for email in sorted(emails, key=lambda one: (one.sort_at, one.id)):
            turn = email.sort_at // TURN
            place[turn] = place.get(turn, -1) + 1
            ranked.append(((turn, place[turn], chance, email.sort_at, email.id), email))
    return [email for _, email in sorted(ranked)]


def _fitting(config: SmtpConfig) -> int | None:
    """With limits on recipients, the most that an email may have to go through this config at all."""
    limits = [limit for limit in (config.hourly_limit, config.daily_limit) if limit]
    return min(limits) if limits and config.limit_unit == "recipients" else None


def _front(lane_id: int, want: int, fits: int | None, now: int) -> list[Queued]:
    found = rows(
        "SELECT id, sort_at, recipient_count, size, expires_at FROM emails WHERE state = 'queued' AND lane_id = ?"
        " AND (expires_at IS NULL OR expires_at > ?) AND (? IS NULL OR recipient_count <= ?)"
        f" ORDER BY sort_at, id LIMIT ? {SKIP_LOCKED}",
        lane_id, now, fits, fits, want,
    )  # fmt: skip
    return [Queued(*one) for one in found]
