"""gunicorn's settings as the relay has them, without its hooks: nothing is delivered here."""

from __future__ import annotations

import runpy
from pathlib import Path

_RELAY = runpy.run_path(str(Path(__file__).resolve().parents[2] / "gunicorn.conf.py"))

globals().update({
    name: _RELAY[name]
    for name in ("bind", "workers", "threads", "worker_class", "worker_tmp_dir", "timeout", "keepalive", "accesslog")
})  # fmt: skip
control_socket_disable = True
