"""The queue as a whole: how much waits, since when, where it piles up, and how fast it moves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any
from weakref import WeakKeyDictionary

from models.database import database, row, rows
from models.email import State
from models.smtp_config import Health, SmtpConfig
from services import quota, readiness
from services.relay import Relay
from services.search import first_id_at
from services.switches import relay_paused
from utils.clock import DAY, HOUR, MINUTE, SECOND, iso_or_none, monotonic

AGES = (("1m", MINUTE), ("5m", 5 * MINUTE), ("15m", 15 * MINUTE), ("1h", HOUR), ("4h", 4 * HOUR), ("1d", DAY))
PRIORITIES = range(1, 6)
PERIODS = (("1m", MINUTE), ("5m", 5 * MINUTE), ("60m", HOUR))
POOL = None  # the row of unpinned mail
FINISHED_SEEN = 50_000  # newest finished emails that a rate looks at

# Counting a million waiting emails takes most of a second. Costly answers are kept for a multiple of what they
# cost, so that people who watch a full queue take a small share of the machine; cheap ones are always fresh.
WORTH_KEEPING = 50  # ms
KEPT_FOR = 20  # times its cost
_kept: WeakKeyDictionary[Any, dict[str | None, tuple[int, int, dict[str, Any]]]] = WeakKeyDictionary()


def queue_stats(relay: Relay, tenant: str | None, now: int) -> dict[str, Any]:
    """Everything of `GET /api/queue`. Rates are per minute; ages are since acceptance."""
    kept = _kept.setdefault(database.obj, {})
    found = kept.get(tenant)
    if found is not None and abs(now - found[0]) < found[1]:
        return found[2]
    if found is not None:
        kept[tenant] = (now, found[1], found[2])  # whoever asks meanwhile gets the former answer
    begun = monotonic()
    answer = _measured(tenant, now)
    cost = round((monotonic() - begun) * SECOND)
    kept[tenant] = (now, cost * KEPT_FOR if cost >= WORTH_KEEPING else 0, answer)
    return answer


def _measured(tenant: str | None, now: int) -> dict[str, Any]:
    counts = dict.fromkeys(State, 0) | dict(_by_state(tenant))
    waiting, ages, since = _waiting(tenant, now)
    return {
        "paused": relay_paused(),
        "counts": {str(state): count for state, count in counts.items()},
        "waiting": waiting,
        "oldest_waiting_seconds": None if since is None else max(0, now - since) // SECOND,
        "rates_per_minute": _rates(tenant, now),
        "configs": [_use(*one, now) for one in _configs(tenant)],
        "ages": ages,
    }


def _by_state(tenant: str | None) -> list[tuple[Any, ...]]:
    if tenant is None:
        return rows("SELECT state, count(*) FROM emails GROUP BY state")
    return rows("SELECT state, count(*) FROM emails WHERE tenant = ? GROUP BY state", tenant)


def _waiting(tenant: str | None, now: int) -> tuple[dict[str, Any], dict[str, Any], int | None]:
    """Counts by state and priority; the table of ages and configs of queued and retried mail; and since when the
    queued email that has waited longest could have gone. Scheduled mail waits because it was asked to."""
    by_priority, since = {}, None
    for state in (State.QUEUED, State.RETRY, State.SCHEDULED):
        source, params = _of_state(state, tenant)
        sums = ", ".join(f"count(*) FILTER (WHERE priority = {n})" for n in PRIORITIES)
        found = row(f"SELECT min(available_at), {sums} FROM {source}", *params)
        assert found is not None
        by_priority[str(state)] = {str(n): int(count) for n, count in zip(PRIORITIES, found[1:], strict=True)}
        since = found[0] if state == State.QUEUED else since
    ids = [first_id_at(now - age) for _, age in AGES]  # ids follow the time of acceptance
    table: dict[int | None, list[int]] = defaultdict(lambda: [0] * (len(AGES) + 1))
    for config_id, total, *younger in _piles(tenant, ids):
        for column, (low, high) in enumerate(pairwise([0, *younger, total])):
            table[config_id][column] += high - low
    return by_priority, _table(table), since


def _piles(tenant: str | None, ids: list[int]) -> Iterator[tuple[Any, ...]]:
    """(pinned config, emails, those from each of `ids` on), lane by lane."""
    younger = ", ".join("count(*) FILTER (WHERE id >= ?)" for _ in ids)
    pinned: dict[int, int | None] = dict(rows("SELECT id, nullif(smtp_config_id, 0) FROM lanes"))
    for state in (State.QUEUED, State.RETRY):
        source, params = _of_state(state, tenant, in_index=True)
        found = rows(f"SELECT lane_id, count(*), {younger} FROM {source} GROUP BY lane_id", *ids, *params)
        yield from ((pinned.get(lane), *counts) for lane, *counts in found)


def _of_state(state: State, tenant: str | None, in_index: bool = False) -> tuple[str, list[Any]]:
    """FROM … WHERE of a state's emails. `in_index`: the index of the queue alone will do, without the rows.

    A tenant's queue is found by its lanes; left to itself, SQLite would read all that is queued.
    """
    mine, params = (
        ("", []) if tenant is None else ("lane_id IN (SELECT id FROM lanes WHERE tenant = ?) AND", [tenant])
    )
    by_lane = state == State.QUEUED and (in_index or tenant is not None)
    return f"emails {'INDEXED BY emails_queued' if by_lane else ''} WHERE {mine} state = '{state}'", params


def _table(table: dict[int | None, list[int]]) -> dict[str, Any]:
    names = {int(one): str(name) for one, name in rows("SELECT id, name FROM smtp_configs")}
    return {
        "columns": [*(name for name, _ in AGES), "older"],
        "rows": [
            {
                "smtp_config_id": config_id,
                "smtp_config": names.get(config_id) if config_id is not POOL else None,
                "total": sum(counts),
                "counts": counts,
            }
            for config_id, counts in sorted(table.items(), key=lambda one: one[0] or 0)
        ],
    }


def _rates(tenant: str | None, now: int) -> dict[str, dict[str, float]]:
    rates = {
        "accepted": {
            name: round(_accepted(tenant, now - span) / (span / MINUTE), 2) for name, span in PERIODS
        }
    }
    ended = _ended(tenant, now - HOUR)
    # Of more than we look at, the rate over the time that those took is the truth.
    seen = now - ended[-1][1] if len(ended) == FINISHED_SEEN else HOUR
    for state in (State.SENT, State.FAILED):
        rates[state] = {}
        for name, span in PERIODS:
            covered = max(1, min(span, seen))
            count = sum(one == state and at > now - covered for one, at in ended)
            rates[state][name] = round(count / (covered / MINUTE), 2)
    return rates


def _accepted(tenant: str | None, since: int) -> int:
    first = first_id_at(since)
    mine, params = ("", []) if tenant is None else ("AND tenant = ?", [tenant])
    found = row(f"SELECT count(*) FROM emails WHERE id >= ? {mine}", first, *params)
    return int(found[0]) if found else 0


def _ended(tenant: str | None, since: int) -> list[tuple[Any, ...]]:
    """(state, finished_at) of what ended since, newest first; no more than FINISHED_SEEN."""
    mine, params = ("", []) if tenant is None else ("AND tenant = ?", [tenant])
    found = []
    for has_content in ("has_content", "NOT has_content"):  # each has its index
        found += rows(
            f"SELECT state, finished_at FROM emails WHERE finished_at IS NOT NULL AND {has_content}"
            f" AND finished_at > ? {mine} ORDER BY finished_at DESC LIMIT ?",
            since, *params, FINISHED_SEEN,
        )  # fmt: skip
    return sorted(found, key=lambda one: -one[1])[:FINISHED_SEEN]


def _configs(tenant: str | None) -> Iterable[tuple[SmtpConfig, Health]]:
    states = {one.smtp_config_id: one for one in Health.select()}
    query = SmtpConfig.select().order_by(SmtpConfig.id)
    for config in query if tenant is None else query.where(SmtpConfig.tenant == tenant):
        yield config, states.get(config.id) or Health(smtp_config_id=config.id)


def _use(config: SmtpConfig, state: Health, now: int) -> dict[str, Any]:
    used = quota.windows_of(config, now)
    hold = readiness.hold_of(config, state, now)
    return {
        "id": config.id,
        "name": config.name,
        "tenant_id": config.tenant or None,
        "active": config.active,
        "unit": used.unit,
        "hour": {"used": used.hour_used, "limit": used.hour_limit or None},
        "day": {"used": used.day_used, "limit": used.day_limit or None},
        "hold": hold.kind if hold else None,
        "held_until": iso_or_none(hold.until) if hold else None,
        "breaker_open": state.open_until is not None,
        "connections": readiness.connections_open(config.id),
    }
