"""The sums of the fault cases would notice what they are there for."""

from __future__ import annotations

from pathlib import Path

from tests.faults.trial import Trial


def test_a_lost_and_a_doubled_email_show_in_the_sums(tmp_path: Path) -> None:
    with Trial(tmp_path) as trial:
        trial.daemon.start()
        trial.add_config()
        trial.client.post(5)
        sums = trial.finish()
        sums.check()
        delivered = trial.log.read_text().splitlines(keepends=True)
        trial.log.write_text("".join(delivered[1:] + delivered[-1:]))
        sums = trial.count(trial.client.accepted)
        assert (len(sums.lost), len(sums.doubled), len(sums.doubled_silently)) == (1, 1, 1)
        assert sums.line("case").startswith(
            "case: accepted 5, delivered 4, lost 1, doubled 1 (silently 1), unknown 0"
        )
