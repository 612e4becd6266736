"""The tables of docs/performance.md, in Markdown, each of what was measured."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from benchmarks.profile import ALL, BEYOND, KERNEL, PARTS, REST
from benchmarks.targets import LABELS, OTHERS, TARGETS, Target

Figures = dict[str, list[float]]


def tables(figures: Figures) -> str:
    """Those of which something was measured, with a heading each."""
    made = [
        ("Aims", aims(figures)),
        ("Figures", plain(figures)),
        ("A server far away", distance(figures)),
        ("Long queues", growth(figures)),
        ("Processes and threads", tuning(figures)),
        ("CPU per email", cpu(figures)),
    ]
    return "\n\n".join(f"### {heading}\n\n{table}" for heading, table in made if table)


def ratios(figures: Figures, targets: list[Target]) -> Iterator[tuple[Target, list[float]]]:
    """Those of which both sides were measured, pair by pair; a side measured once stands against each."""
    for target in targets:
        left, right = figures.get(target.of), figures.get(target.to, [1.0] if not target.to else None)
        if left and right:
            count = max(len(left), len(right))
            pairs = zip(_stretched(left, count), _stretched(right, count), strict=True)
            yield target, [target.compare(*pair) for pair in pairs]


def _stretched(values: list[float], count: int) -> list[float]:
    return values if len(values) == count else [statistics.median(values)] * count


def aims(figures: Figures) -> str:
    rows = []
    for target, values in ratios(figures, TARGETS):
        value = statistics.median(values)
        verdict = "met" if target.met(value) else "**missed**"
        rows.append([target.what, target.aim, number(value), spread(values), verdict])
    for target, values in ratios(figures, OTHERS):
        rows.append([target.what, "", number(statistics.median(values)), spread(values), ""])
    return _table(["", "aimed at", "median", "min to max", ""], rows)


def plain(figures: Figures) -> str:
    rows = [
        [label, number(statistics.median(figures[key])), spread(figures[key]), unit]
        for key, (label, unit) in LABELS.items()
        if key in figures
    ]
    return _table(["", "median", "min to max", "unit"], rows)


def distance(figures: Figures) -> str:
    """The pace between the first and the last tenth of the backlog, and that of the whole with its start and end."""
    rows = []
    for key in _keys(figures, "distance.", ".whole"):
        pace, whole, trip = (_one(figures, name) for name in (key, f"{key}.whole", f"{key}.round_trip_ms"))
        limit = _one(figures, f"{key}.limit")
        rows.append([
            f"{key.rpartition('.')[2]} ms", f"{number(trip)} ms", number(limit) if limit else "", number(pace),
            f"{pace / limit:.1%}" if limit else "", number(whole),
        ])  # fmt: skip
    return _table(
        ["round trip", "as measured", "limit", "emails/s", "of the limit", "from start to end"], rows
    )


def growth(figures: Figures) -> str:
    rows = []
    for key in _keys(figures, "growth.", ".claim"):
        queued, _, sent = key.removeprefix("growth.").partition("+")
        times = [_one(figures, f"{key}.{name}") for name in ("claim", "accept", "status", "queue_page")]
        rows.append([
            f"{int(queued):,} queued" + (f", {int(sent):,} sent" if sent else ""), *(f"{one:.2f} ms" for one in times),
            f"{_one(figures, f'{key}.memory_mb'):.0f} MB", f"{_one(figures, f'{key}.disk_mb'):,.0f} MB",
            f"{_one(figures, f'{key}.ready_s'):.1f} s",
        ])  # fmt: skip
    return _table(["", "claim of 10", "accept", "status", "queue's page", "memory", "on disk", "start"], rows)


def tuning(figures: Figures) -> str:
    rows = []
    for key in _keys(figures, "tuning.", ".draining"):
        paces = [_one(figures, f"{key}.{name}") for name in ("accepting", "end_to_end", "draining")]
        rows.append([*key.rpartition(".")[2].split("-"), *map(number, paces)])
    names = ["WEB_CONCURRENCY", "WEB_THREADS", "QUEUE_WORKERS"]
    return _table([*names, "(a) accepting alone", "(a) end to end", "(c) draining"], rows)


def cpu(figures: Figures) -> str:
    loads = [load for load in ("accepting", "draining") if f"cpu.{load}.{ALL}" in figures]
    rows = [
        [part, *(f"{_one(figures, f'cpu.{load}.{part}'):,.0f} µs" for load in loads)]
        for part in (*PARTS, REST, BEYOND, KERNEL, ALL)
    ]
    return _table(["", *loads], rows) if loads else ""


def _keys(figures: Figures, start: str, end: str) -> list[str]:
    return [key.removesuffix(end) for key in figures if key.startswith(start) and key.endswith(end)]


def _one(figures: Figures, key: str) -> float:
    return statistics.median(figures.get(key, [0.0]))


def spread(values: list[float]) -> str:
    return f"{number(min(values))} to {number(max(values))}" if len(values) > 1 else ""


def number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _table(header: Sequence[str], rows: list[list[str]]) -> str:
    """Empty without rows."""
    if not rows:
        return ""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
