"""A plain script: one kept connection, a message that is built already, `sendmail` for each email.

python -m benchmarks.references.smtplib_loop PORT FILE COUNT       prints the seconds it took
"""

from __future__ import annotations

import smtplib
import sys
import time
from pathlib import Path

from benchmarks.bench import SENDER


def send(port: int, data: bytes, count: int) -> float:
    began = time.perf_counter()
    with smtplib.SMTP("127.0.0.1", port) as server:
        for number in range(count):
            server.sendmail(SENDER, [f"customer{number}@example.com"], data)
    return time.perf_counter() - began


if __name__ == "__main__":
    print(send(int(sys.argv[1]), Path(sys.argv[2]).read_bytes(), int(sys.argv[3])))
