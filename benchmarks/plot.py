"""Bars of emails per second, the relay beside its references."""

from __future__ import annotations

import statistics
from pathlib import Path

import matplotlib as mpl

from benchmarks.targets import LABELS

OURS, THEIRS = "#2b6cb0", "#a0aec0"
BARS = [
    "b.end_to_end", "c.2", "c.1", "smtplib", "a.end_to_end", "postfix", "celery", "e.end_to_end", "postfix.20",
]  # fmt: skip


def draw(figures: dict[str, list[float]], path: Path) -> None:
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "mailferry"  # the same figures make the same file
    mpl.rcParams["svg.fonttype"] = "none"  # letters stay letters: a small file whose changes can be read
    from matplotlib import pyplot

    shown = [key for key in BARS if figures.get(key)]
    medians = [statistics.median(figures[key]) for key in shown]
    errors = [
        [median - min(figures[key]) for key, median in zip(shown, medians, strict=True)],
        [max(figures[key]) - median for key, median in zip(shown, medians, strict=True)],
    ]
    figure, axes = pyplot.subplots(figsize=(9, 0.45 * len(shown) + 1.2))
    colours = [OURS if LABELS[key][0].startswith("(") else THEIRS for key in shown]
    bars = axes.barh([LABELS[key][0] for key in shown], medians, xerr=errors, color=colours, ecolor="#4a5568")
    axes.bar_label(bars, fmt="{:,.0f}", padding=6)
    axes.invert_yaxis()
    axes.set_xlabel("emails per second: median of the rounds, lines from least to most")
    axes.margins(x=0.1)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
