"""A first email in the languages that most apps speak: for the welcome page, the docs and whoever copies them.

The key is read from the environment, so that no secret is on the page, in a shell's history or in a file.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Any

KEY_VARIABLE = "MAILFERRY_KEY"
EMAIL: dict[str, Any] = {"subject": "Hello", "recipients": ["you@example.com"], "text_content": "It works."}

_CURL = """\
curl {url} \\
  -H "X-API-Key: $MAILFERRY_KEY" -H 'Content-Type: application/json' \\
  -d {body}
"""
_PYTHON = """\
import json, urllib.request
from os import environ

email = {body}
request = urllib.request.Request(
    {url},
    json.dumps(email).encode(),
    {{"X-API-Key": environ["MAILFERRY_KEY"], "Content-Type": "application/json"}},
)
with urllib.request.urlopen(request) as answer:
    print(json.load(answer))
"""
_NODE = """\
const email = {body};
const answer = await fetch({url}, {{
  method: "POST",
  headers: {{ "X-API-Key": process.env.MAILFERRY_KEY, "Content-Type": "application/json" }},
  body: JSON.stringify(email),
}});
console.log(await answer.json());
"""


@dataclass(frozen=True, slots=True)
class Snippet:
    """`id` for markup, `label` for people; `language` as highlighters call it; `file` to save it under, if at all."""

    id: str
    label: str
    language: str
    file: str
    code: str


def snippets(base_url: str, email: dict[str, Any] = EMAIL) -> tuple[Snippet, ...]:
    """`base_url`: of this relay, as its callers reach it."""
    url, body = f"{base_url.rstrip('/')}/api/emails", json.dumps(email)
    in_code = {"url": json.dumps(url), "body": body}
    return (
        Snippet("curl", "curl", "sh", "", _CURL.format(url=shlex.quote(url), body=shlex.quote(body))),
        Snippet("python", "Python", "python", "send.py", _PYTHON.format(**in_code)),
        Snippet("node", "Node", "javascript", "send.mjs", _NODE.format(**in_code)),
    )
