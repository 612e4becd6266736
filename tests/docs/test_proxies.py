"""The proxies of docs/how-to/proxy.md, as they stand there but for addresses: nginx with TLS, before a real daemon."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.docs.pages import DOCS, blocks
from tests.support.ca import TestCA
from tests.support.daemon import KEY, Daemon, free_port
from tests.support.tools import need

HERE = "127.0.0.1:5000"
WHOLE = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  {block}
}}
"""


def block_of(page: str, language: str) -> str:
    (found,) = [one for one in blocks(DOCS / page) if one.language == language]
    return found.code


def config_file(folder: Path, block: str) -> list[str]:
    file = folder / "nginx.conf"
    file.write_text(WHOLE.format(folder=folder, block=block))
    return [need("nginx"), "-e", f"{folder}/error.log", "-c", str(file)]


@contextmanager
def in_front(folder: Path, target: Daemon) -> Iterator[tuple[str, str]]:
    """The address of nginx, and the file to trust."""
    ca, port = TestCA(folder), free_port()
    ca.server("localhost")
    certificate = str(next(folder.glob("server-*.pem")))
    block = block_of("how-to/proxy.md", "nginx").replace(HERE, target.url.removeprefix("http://"))
    for kind in ("pem", "key"):
        block = block.replace(f"/etc/ssl/mail.example.com.{kind}", certificate)
    command = config_file(folder, block.replace("443 ssl", f"127.0.0.1:{port} ssl"))
    nginx = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield f"https://localhost:{port}", ca.file
    finally:
        nginx.terminate()
        nginx.wait(10)


def session(ca: str, **headers: str) -> requests.Session:
    found = requests.Session()
    found.trust_env, found.verify = False, ca
    found.headers.update(headers)
    return found


def await_proxy(url: str, http: requests.Session) -> None:
    for _ in range(100):
        try:
            if http.get(f"{url}/health", timeout=2).status_code == 200:
                return
        except requests.RequestException:
            pass
        time.sleep(0.05)
    raise AssertionError("nginx did not answer")


def test_behind_nginx_mail_is_taken_and_pages_hear_at_once(tmp_path: Path) -> None:
    need("nginx")
    with Daemon(tmp_path, trusted_proxies=1) as daemon, in_front(tmp_path, daemon) as (url, ca):
        http = session(ca, **{"X-API-Key": KEY})
        await_proxy(url, http)
        daemon.add_config(free_port())
        large = {"subject": "Large", "recipients": ["ann@example.com"], "text_content": "x" * 5_000_000}
        answer = http.post(f"{url}/api/emails", json=large, timeout=30)
        assert answer.status_code == 201, answer.text
        assert "Secure" in http.get(f"{url}/login", timeout=10).headers["Set-Cookie"]
        began = time.monotonic()
        with signed_in(url, ca).get(f"{url}/live", stream=True, timeout=10) as stream:
            assert stream.headers["Content-Type"].startswith("text/event-stream")
            assert next(stream.iter_lines()) == b"event: pulse"
        assert time.monotonic() - began < 8


def signed_in(url: str, ca: str) -> requests.Session:
    browser = session(ca)
    page = browser.get(f"{url}/login?by=key", timeout=10).text
    token = page.split('name="csrf"')[1].split('value="')[1].split('"')[0]
    answer = browser.post(
        f"{url}/login", data={"key": KEY, "csrf": token}, headers={"Referer": f"{url}/login"}, timeout=10
    )
    assert answer.ok, answer.text
    return browser


def test_the_upstream_of_several_daemons_is_one_for_nginx(tmp_path: Path) -> None:
    command = config_file(tmp_path, block_of("how-to/scale-out.md", "nginx"))
    done = subprocess.run([*command, "-t"], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", ["how-to/proxy.md"])
def test_caddy_takes_its_block(tmp_path: Path, page: str) -> None:
    (tmp_path / "Caddyfile").write_text(block_of(page, "caddy"))
    done = subprocess.run(
        [need("caddy"), "validate", "--adapter", "caddyfile", "--config", str(tmp_path / "Caddyfile")],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
