"""(d) One email on an idle relay, from before the POST until the server's 250, beside a plain smtplib send."""

from __future__ import annotations

import smtplib
import statistics
import time

from benchmarks import mail
from benchmarks.bench import SENDER, Bench
from benchmarks.daemon import add_config, relay
from benchmarks.timed_sink import TimedSink, timed_sink

PAUSE = 0.03  # idle in between
NAME = "script.test"  # else smtplib looks up this machine's name for every connection
WARM_UP = 5  # the first emails open connections and fill caches


def one_at_a_time(bench: Bench) -> None:
    times: dict[str, list[float]] = {"relay": [], "smtplib_new": [], "smtplib_kept": []}
    with timed_sink() as target, relay(bench.folder, None) as daemon:
        add_config(daemon, target.port)
        kept = smtplib.SMTP("127.0.0.1", target.port, local_hostname=NAME)
        for number in range(bench.sizes.idle + WARM_UP):
            email = mail.body(number, unique=False)
            began = time.monotonic()
            email_id = daemon.post("/api/emails", email)["email_id"]
            times["relay"].append(target.arrival() - began)
            data = daemon.http.get(f"{daemon.url}/api/emails/{email_id}/raw").content
            times["smtplib_new"].append(_plain(target, data, email["recipients"]))
            times["smtplib_kept"].append(_plain(target, data, email["recipients"], kept))
            time.sleep(PAUSE)
        kept.quit()
    for name, all_of_them in times.items():
        measured = sorted(all_of_them[WARM_UP:])
        bench.record(f"d.{name}", statistics.median(measured) * 1e3)
        bench.record(f"d.{name}.p95", measured[int(len(measured) * 0.95)] * 1e3)


def _plain(target: TimedSink, data: bytes, recipients: list[str], kept: smtplib.SMTP | None = None) -> float:
    began = time.monotonic()
    if kept is not None:
        kept.sendmail(SENDER, recipients, data)
    else:
        with smtplib.SMTP("127.0.0.1", target.port, local_hostname=NAME) as server:
            server.sendmail(SENDER, recipients, data)
    return target.arrival() - began
