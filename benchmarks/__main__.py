"""Measure the relay and what it is compared with, and write docs/performance.md's table and plot.

make bench                                         everything, some 30 minutes on two cores
python -m benchmarks --quick                       everything, small: a few minutes
python -m benchmarks --only a,b --rounds 5         these, and what they are compared with
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks import parts, report
from benchmarks.bench import QUICK, Bench, Sizes

PROGRAMS = ("smtp-sink", "smtp-source", "postfix", "wrk", "redis-server", "dovecot", "mbsync")


def main() -> int:
    options = _parser().parse_args()
    missing = [
        name for name in PROGRAMS if shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/bin") is None
    ]
    if missing:
        print(f"not installed: {', '.join(missing)}; `make bench` as root installs them", file=sys.stderr)
        return 1
    try:
        names = parts.chosen(options.only)
    except KeyError as exc:
        print(f"no part is named {exc}; there are {', '.join(parts.PARTS)}", file=sys.stderr)
        return 2
    sizes = QUICK if options.quick else Sizes()
    sizes = replace(
        sizes,
        rounds=options.rounds or sizes.rounds,
        history=sizes.history if options.growth_history is None else options.growth_history,
    )
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.folder) as folder:
        Path(folder).chmod(0o755)  # Postfix and the sink run as users of their own
        bench = Bench(Path(folder), sizes)
        parts.run(bench, names)
        run = report.Run.of(bench, names, sys.argv[1:])
        print(report.as_text(run))
        if options.write:
            report.write(run)
    return 1 if run.failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="small counts, one round; good to see that it runs"
    )
    parser.add_argument(
        "--only", type=lambda text: text.split(","), default=[], metavar="PARTS",
        help="of " + ", ".join(parts.PARTS),
    )  # fmt: skip
    parser.add_argument("--rounds", type=int, help="how often the headline figures are taken")
    parser.add_argument(
        "--growth-history",
        type=int,
        metavar="N",
        help="sent emails behind a short queue; 0 for none, to save disk",
    )
    parser.add_argument("--folder", help="where databases and queues are put; the default is TMPDIR, or /tmp")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md, .json and .svg")
    return parser


if __name__ == "__main__":
    sys.exit(main())
