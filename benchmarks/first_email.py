"""How long from POST to `sent` on an idle relay, beside a bare smtplib send of the same mail in the same run?

    python -m benchmarks.first_email [--emails 200]

Both go to the same SMTP server, a process of its own. smtplib opens a connection for each mail, as a script would; so
that the comparison is hard on us, a second reference keeps its connection. Accepts and claims are fsynced.
"""

from __future__ import annotations

import argparse
import smtplib
import statistics
import tempfile
import time
from pathlib import Path

from pysqlite3 import dbapi2 as sqlite

from tests.support.chaos import sink_process
from tests.support.daemon import Daemon

BODY = {
    "subject": "A first email",
    "recipients": ["ann@example.com"],
    "html_content": "<html><body><h1>Hello</h1>"
    + '<p>Some text with a <a href="https://example.com/a?b=c">link</a> in it.</p>' * 25
    + "</body></html>",
}


def relay_send(daemon: Daemon, reader: sqlite.Connection) -> float:
    """Seconds from before the POST until the database says `sent`, which is when the status endpoint would."""
    began = time.perf_counter()
    email_id = daemon.post("/api/emails", BODY)["email_id"]
    while reader.execute("SELECT state FROM emails WHERE id = ?", (email_id,)).fetchone() != ("sent",):
        time.sleep(0.0002)
    return time.perf_counter() - began


def smtplib_send(port: int, data: bytes, kept: smtplib.SMTP | None = None) -> float:
    began = time.perf_counter()
    if kept is not None:
        kept.sendmail("relay@sender.test", ["ann@example.com"], data)
    else:
        with smtplib.SMTP("127.0.0.1", port) as server:
            server.sendmail("relay@sender.test", ["ann@example.com"], data)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--emails", type=int, default=200)
    count = parser.parse_args().emails
    with (
        tempfile.TemporaryDirectory() as folder,
        sink_process(Path(folder) / "log") as port,
        Daemon(Path(folder)) as daemon,
    ):
        daemon.add_config(port)
        reader = sqlite.connect(str(Path(folder) / "data" / "mailferry.db"), isolation_level=None)
        first = daemon.post("/api/emails", BODY)["email_id"]
        data = daemon.http.get(f"{daemon.url}/api/emails/{first}/raw").content
        kept = smtplib.SMTP("127.0.0.1", port)
        ours, theirs, kept_times = [], [], []
        for _ in range(count):
            ours.append(relay_send(daemon, reader) * 1e3)
            theirs.append(smtplib_send(port, data) * 1e3)
            kept_times.append(smtplib_send(port, data, kept) * 1e3)
            time.sleep(0.02)  # idle in between
        kept.quit()
        reader.close()
    print(f"{count} emails of {len(data)} bytes, one at a time; accept and claim synchronous=FULL")
    for name, times in (
        ("relay, POST to sent", ours),
        ("smtplib, new connection", theirs),
        ("smtplib, kept", kept_times),
    ):
        ordered = sorted(times)
        print(
            f"{name:24} median {statistics.median(times):6.2f} ms   p95 {ordered[int(count * 0.95)]:6.2f} ms"
        )
    for name, times in (("a new connection", theirs), ("a kept one", kept_times)):
        print(
            f"median over smtplib with {name}: {statistics.median(ours) - statistics.median(times):+.2f} ms"
        )


if __name__ == "__main__":
    main()
