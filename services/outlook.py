"""What stands between an email and its sending: the configs that may carry it, what holds each, and who is ahead."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import fmean, median

from models.database import marks, row, rows
from models.email import Email
from models.smtp_config import Health, SmtpConfig
from services import quota, readiness
from services.forecast import DAY_SPAN, HOUR_SPAN, Account, expected_at, frees_at
from services.readiness import Hold
from utils.clock import MINUTE

COUNTED = 500_000  # emails ahead that are counted, some 30 ms worth; beyond that the place is "more than"
COUNTED_AT_LEAST = 1_000  # in each lane
SAMPLED = 1_000  # emails ahead, per lane, whose recipients are counted
ATTEMPTS = 500  # latest ones that tell the pace
UNKNOWN_PACE = 100  # ms


@dataclass(frozen=True, slots=True)
class Option:
    """A config that may carry the email. No account: only a person can make it go."""

    config: SmtpConfig
    hold: Hold | None
    full: bool  # it has all the connections that it may have
    account: Account | None


@dataclass(frozen=True, slots=True)
class Outlook:
    """`position`: queued emails ahead, where the email goes soonest. With `uncounted`, there are more than that,
    and `expected_at` is only the earliest."""

    position: int
    expected_at: int | None
    uncounted: bool = False


@dataclass(frozen=True, slots=True)
class Pile:
    """Emails ahead in one lane; `more` than were counted."""

    lane_id: int
    emails: int
    more: bool


def options_of(email: Email, now: int) -> list[Option]:
    found = rows("SELECT smtp_config_id FROM routes WHERE lane_id = ?", email.lane_id)
    ids = [int(one) for (one,) in found]
    states = {one.smtp_config_id: one for one in Health.select().where(Health.smtp_config_id.in_(ids))}
    paces = _paces()
    options = []
    for config in SmtpConfig.select().where(SmtpConfig.id.in_(ids)).order_by(SmtpConfig.id):
        state = states.get(config.id) or Health(smtp_config_id=config.id)
        full = readiness.connections_open(config.id) >= readiness.connections_allowed(
            config.max_connections, state.window, state.open_until
        )
        account = _account(config, email, now, paces.get(config.id, UNKNOWN_PACE))
        hold = readiness.standing_hold(config, state, now)
        if hold is None:
            hold = _quota_hold(config.limit_unit, account, now)
        elif hold.kind in ("inactive", "paused"):
            options.append(Option(config, hold, full, None))
            continue
        else:
            account = replace(account, free_at=hold.until or now)
        options.append(Option(config, hold, full, account))
    return options


def outlook(email: Email, options: list[Option], now: int) -> Outlook:
    """The email's place and time. Of the configs, those count with which it goes soonest: mail ahead that is pinned
    to an exhausted one does not stand in its way elsewhere."""
    usable = [one for one in options if one.account is not None]
    lanes = _lanes_of([one.config.id for one in usable])
    ahead = _ahead(email, {lane for served in lanes.values() for lane in served})
    size = {one: sum(ahead[lane].emails for lane in served) for one, served in lanes.items()}
    usable.sort(key=lambda one: size[one.config.id])
    best: Outlook | None = None
    for end, last in enumerate(usable, 1):
        if end < len(usable) and size[usable[end].config.id] <= 2 * size[last.config.id]:
            continue  # alike: taken together
        group = usable[:end]
        piles = [ahead[lane] for lane in {lane for one in group for lane in lanes[one.config.id]}]
        position = sum(pile.emails for pile in piles)
        at = expected_at(_averaged(group, piles, email), position, now, email.available_at)
        if best is None or (at is not None and (best.expected_at is None or at < best.expected_at)):
            best = Outlook(position, at, any(pile.more for pile in piles))
    return best or Outlook(0, None)


def _account(config: SmtpConfig, email: Email, now: int, pace: int) -> Account:
    return Account(
        used=dict(quota.buckets(config, now, quota.DAY_BUCKETS)),
        hourly_limit=config.hourly_limit,
        daily_limit=config.daily_limit,
        pace=pace,
        free_at=now,
        own=email.recipient_count if config.limit_unit == "recipients" else 1,
    )


def _quota_hold(unit: str, account: Account, now: int) -> Hold | None:
    """The window that has no room for this email the longest."""
    holds = []
    for kind, limit, span in (
        ("quota_day", account.daily_limit, DAY_SPAN), ("quota_hour", account.hourly_limit, HOUR_SPAN),
    ):  # fmt: skip
        until = frees_at(account.used, limit, span, account.own, now) if limit else now
        if until != now:
            used = sum(units for minute, units in account.used.items() if minute > now // MINUTE - span)
            holds.append(Hold(kind, until, f"{used} of {limit} {unit} used"))
    return max(holds, key=_lasting, default=None)


def _lasting(hold: Hold) -> float:
    return float("inf") if hold.until is None else hold.until


def _lanes_of(ids: list[int]) -> dict[int, list[int]]:
    lanes: dict[int, list[int]] = {one: [] for one in ids}
    for config_id, lane in rows(
        f"SELECT smtp_config_id, lane_id FROM routes WHERE smtp_config_id IN ({marks(len(ids))})", *ids
    ):
        lanes[config_id].append(lane)
    return lanes


def _ahead(email: Email, lanes: set[int]) -> dict[int, Pile]:
    """Queued emails that go before, by lane."""
    ahead, left = {}, COUNTED
    for lane in sorted(lanes, key=lambda one: one != email.lane_id):  # its own first, while there is patience
        most = max(left, COUNTED_AT_LEAST)
        found = row(
            "SELECT count(*) FROM (SELECT 1 FROM emails WHERE state = 'queued' AND lane_id = ?"
            " AND (sort_at, id) < (?, ?) LIMIT ?) ahead",
            lane, email.sort_at, email.id, most + 1,
        )  # fmt: skip
        emails = int(found[0]) if found else 0
        ahead[lane] = Pile(lane, min(emails, most), more=emails > most)
        left -= emails
    return ahead


def _averaged(group: list[Option], piles: list[Pile], email: Email) -> list[Account]:
    """The accounts, with what an email ahead costs where recipients are limited: the average. It is kept whole by
    counting in parts of a recipient, as many as there are emails ahead."""
    accounts = [(one.account, _counts_recipients(one.config)) for one in group if one.account is not None]
    parts = sum(pile.emails for pile in piles)
    if not parts or not any(counts for _, counts in accounts):
        return [account for account, _ in accounts]
    cost = sum(_recipients(pile, email) for pile in piles)
    return [_in_parts(account, parts, cost) if counts else account for account, counts in accounts]


def _counts_recipients(config: SmtpConfig) -> bool:
    return config.limit_unit == "recipients" and bool(config.hourly_limit or config.daily_limit)


def _recipients(pile: Pile, email: Email) -> int:
    """Of all emails of a pile, by those that go last before this one."""
    sample = row(
        "SELECT sum(recipient_count), count(*) FROM (SELECT recipient_count FROM emails WHERE state = 'queued'"
        " AND lane_id = ? AND (sort_at, id) < (?, ?) ORDER BY sort_at DESC, id DESC LIMIT ?) ahead",
        pile.lane_id, email.sort_at, email.id, SAMPLED,
    )  # fmt: skip
    return round(sample[0] * pile.emails / sample[1]) if sample and sample[1] else 0


def _in_parts(account: Account, parts: int, cost: int) -> Account:
    return replace(
        account,
        used={minute: units * parts for minute, units in account.used.items()},
        hourly_limit=account.hourly_limit * parts,
        daily_limit=account.daily_limit * parts,
        own=account.own * parts,
        cost=cost,
    )


def _paces() -> dict[int, int]:
    """Config → ms from one email to the next when it is busy, by the latest attempts."""
    attempts = defaultdict(list)
    for config_id, claimed_at, finished_at in rows(
        "SELECT smtp_config_id, claimed_at, finished_at FROM attempts ORDER BY id DESC LIMIT ?", ATTEMPTS
    ):
        attempts[config_id].append((finished_at, claimed_at))
    return {config_id: _pace(sorted(found)) for config_id, found in attempts.items()}


def _pace(attempts: list[tuple[int, int]]) -> int:
    """Between two ends, or an idle time between them is taken for slowness, no longer than one takes alone."""
    alone = median(finished - claimed for finished, claimed in attempts)
    gaps = sorted(later[0] - earlier[0] for earlier, later in pairwise(attempts))
    busy = gaps[: max(1, len(gaps) * 9 // 10)]  # the longest are pauses
    pace = min(alone, fmean(busy)) if busy else alone
    return max(1, min(MINUTE, round(pace)))
