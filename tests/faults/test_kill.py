"""kill -9 at every stage of an email's life, exactly there; then a new start, and the sums."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.trial import Trial
from tests.support.chaos import Sums

Tell = Callable[..., None]

ACCEPTING = [
    "request",
    "before-begin",
    "after-begin",
    "before-accept",
    "after-accept",
    "before-answer",
    "after-answer",
]
CLAIMING = ["before-claim", "after-claim", "before-connect", "after-connect", "banner"]
ENVELOPE = ["mail", "rcpt", "data", "before-fence", "after-fence"]
BODY = ["half-body", "body", "dot", "final", "before-record", "after-record"]
LATER = ["dot:3", "final:3", "before-fence:3", "after-fence:3", "before-record:3", "after-record:3"]
ONE_BY_ONE = ["mail:2", "rcpt:2", "data:2", "after-fence:2", "dot:2", "before-record:2"]


def killed_at(folder: Path, place: str, *, pipelining: bool = True) -> Sums:
    with Trial(folder, pipelining=pipelining) as trial:
        trial.arm(place)
        trial.daemon.start()
        trial.add_config()
        trial.client.post(3)
        trial.client.post_batch(5)
        trial.client.post(2, on_unknown="resend", recipients=["a@example.com", "b@example.com"])
        trial.wait_for_death()
        return afterwards(trial)


def afterwards(trial: Trial) -> Sums:
    """Start anew, ask for everything again, and let it all go out."""
    trial.disarm()
    trial.daemon.start()
    return trial.finish()


@pytest.mark.parametrize("place", ACCEPTING + CLAIMING + ENVELOPE + BODY)
def test_killed_at(tmp_path: Path, tell: Tell, place: str) -> None:
    tell(killed_at(tmp_path, place))


@pytest.mark.long
@pytest.mark.parametrize("place", LATER)
def test_killed_later_at(tmp_path: Path, tell: Tell, place: str) -> None:
    tell(killed_at(tmp_path, place))


@pytest.mark.long
@pytest.mark.parametrize("place", ONE_BY_ONE)
def test_killed_without_pipelining_at(tmp_path: Path, tell: Tell, place: str) -> None:
    tell(killed_at(tmp_path, place, pipelining=False))


@pytest.mark.parametrize(
    "place", ["before-accept", pytest.param("after-claim", marks=pytest.mark.long), "dot:2", "final"]
)
def test_one_of_two_processes_is_killed_at(tmp_path: Path, tell: Tell, place: str) -> None:
    """The other one goes on, and takes back what it held; the master starts a new one."""
    with Trial(tmp_path, web_concurrency=2, queue_workers=2, lease_seconds=3) as trial:
        trial.arm(place, do="kill-one")
        trial.daemon.start()
        trial.add_config()
        trial.client.post(3)
        trial.client.post_batch(20)
        trial.wait_for_fault()
        trial.faults = 1
        tell(trial.finish())


@pytest.mark.parametrize(
    "place", ["before-give-back", pytest.param("after-give-back", marks=pytest.mark.long)]
)
def test_killed_while_giving_back(tmp_path: Path, tell: Tell, place: str) -> None:
    """The server ends each session after one email, with a batch in hand."""
    with Trial(tmp_path, queue_workers=1) as trial:
        refusals = iter(["421 4.7.0 enough"] * 3)
        trial.sink.hooks.on_mail = lambda sender: next(refusals, None)
        trial.arm(place)
        trial.daemon.start()
        trial.add_config()
        trial.client.post_batch(20)
        trial.wait_for_death()
        tell(afterwards(trial))


@pytest.mark.parametrize(
    "place", [pytest.param("create:1", marks=pytest.mark.long), "create:12", "before-migrate"]
)
def test_killed_while_it_makes_its_tables(tmp_path: Path, tell: Tell, place: str) -> None:
    with Trial(tmp_path) as trial:
        trial.arm(place)
        with pytest.raises(AssertionError, match="ended at start"):
            trial.daemon.start()
        trial.wait_for_death()
        trial.disarm()
        trial.daemon.start()
        trial.add_config()
        trial.client.post(3)
        tell(trial.finish())


@pytest.mark.parametrize(
    "place", ["create:2", "before-migrate", pytest.param("after-migrate", marks=pytest.mark.long)]
)
def test_killed_while_a_new_version_changes_the_tables(tmp_path: Path, tell: Tell, place: str) -> None:
    with Trial(tmp_path) as trial:
        trial.daemon.start()
        config = trial.add_config(active=False)
        trial.client.post(5, smtp_config_id=config)
        trial.daemon.stop()
        trial.arm(place, FAULT_MIGRATION=str(Path(__file__).with_name("one_migration_more.py")))
        with pytest.raises(AssertionError, match="ended at start"):
            trial.daemon.start()
        trial.wait_for_death()
        trial.disarm()
        trial.daemon.start()
        assert trial.query("SELECT extra FROM emails LIMIT 1") == [("none",)]
        assert list((tmp_path / "data").glob("mailferry.db.before-*")), "a copy was made before"
        trial.daemon.http.put(f"{trial.daemon.url}/api/smtp-configs/{config}", json={"active": True})
        tell(trial.finish())


@pytest.mark.parametrize("place", ["before-give-back", "before-leave", "after-leave"])
def test_killed_while_it_drains(tmp_path: Path, tell: Tell, place: str) -> None:
    """With most of a batch in hand: so many are claimed once the server was seen to be fast."""
    with Trial(tmp_path, queue_workers=1) as trial:
        trial.arm(place)
        trial.daemon.start()
        trial.add_config()
        trial.client.post_batch(20)
        trial.sink.wait_for_accepted(20)
        trial.sink.delay = 0.3
        trial.client.post_batch(20)
        trial.sink.wait_for_accepted(22)
        assert trial.daemon.process is not None
        trial.daemon.process.terminate()
        trial.wait_for_death()
        trial.sink.delay = 0
        tell(afterwards(trial))


@pytest.mark.parametrize("place", ["before-leave", "after-leave"])
def test_killed_again_while_it_takes_back_what_the_dead_one_held(
    tmp_path: Path, tell: Tell, place: str
) -> None:
    with Trial(tmp_path) as trial:
        trial.arm("dot:2")
        trial.daemon.start()
        trial.add_config()
        trial.client.post_batch(10)
        trial.wait_for_death()
        trial.arm(place)
        with suppress(AssertionError):  # it takes back while it starts
            trial.daemon.start()
        trial.wait_for_death()
        tell(afterwards(trial))
