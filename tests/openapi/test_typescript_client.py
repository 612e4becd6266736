"""A client in TypeScript: types by openapi-typescript of what the daemon describes, calls by openapi-fetch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import blocks
from tests.support.daemon import KEY, ROOT, Daemon
from tests.support.node import FOLDER, need_package, run_node

APP = """
import createClient from "openapi-fetch";
import type { components, paths } from "./mailferry.js";

declare const process: { argv: string[] };
const [, , url, key] = process.argv as [string, string, string, string];
const client = createClient<paths>({ baseUrl: url, headers: { "X-API-Key": key } });

const made = await client.POST("/api/emails", {
  params: { header: { "Idempotency-Key": "client-typescript" } },
  body: {
    subject: "By a generated client", recipients: ["ann@example.com"], text_content: "Hello",
  },
});
if (!made.data) throw new Error(made.error.message);
const path = { email_id: made.data.email_id };

let status: components["schemas"]["EmailStatus"] = "queued";
for (let tries = 0; status !== "sent" && tries < 400; tries++) {
  const found = await client.GET("/api/emails/{email_id}", { params: { path } });
  if (!found.data) throw new Error(found.error.code);
  status = found.data.status;
  await new Promise((done) => setTimeout(done, 50));
}
const listed = await client.GET("/api/emails/status/{status}", {
  params: { path: { status: "sent" }, query: { limit: 10 } },
});
console.log(status, listed.data?.some((one) => one.id === path.email_id));
"""
SUBJECT = 'subject: "By a generated client",'
STRICT = {
    "compilerOptions": {
        "strict": True, "noUncheckedIndexedAccess": True, "target": "es2022", "module": "nodenext",
        "lib": ["es2022", "dom"], "types": [],
    },
    "files": ["app.ts"],
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(described: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Types and app, compiled."""
    generator, compiler = need_package("openapi-typescript"), need_package("typescript")
    need_package("openapi-fetch")
    folder = tmp_path_factory.mktemp("typescript-client")
    (folder / "node_modules").symlink_to(FOLDER / "node_modules")
    (folder / "openapi.json").write_text(json.dumps(described))
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "tsconfig.json").write_text(json.dumps(STRICT))
    (folder / "app.ts").write_text(APP)
    run_node(generator / "bin/cli.js", "openapi.json", "--output", "mailferry.d.ts", cwd=folder)
    run_node(compiler / "bin/tsc", cwd=folder)
    return folder


def test_it_sends_an_email(folder: Path, daemon: Daemon) -> None:
    assert run_node("app.js", daemon.url, KEY, cwd=folder).split() == ["sent", "true"]


def test_the_docs_make_and_use_it_so(folder: Path, daemon: Daemon) -> None:
    """docs/api.md: its program is compiled against the same types, and sends an email."""
    make, use = [one for one in blocks(ROOT / "docs/api.md") if one.note.endswith(Path(__file__).name)]
    assert make.code.split()[:2] == ["npx", "openapi-typescript"]
    assert make.code.split()[3:] == ["--output", "mailferry.d.ts"]
    program = use.code.replace("http://127.0.0.1:5000", daemon.url)
    (folder / "docs.ts").write_text(
        program.replace("const client", f"const key = {json.dumps(KEY)};\nconst client")
    )
    run_node(need_package("typescript") / "bin/tsc", "-p", ".", cwd=_only(folder, "docs.ts"))
    before = daemon.query("SELECT count(*) FROM emails")[0][0]
    run_node("docs.js", cwd=folder)
    assert daemon.query("SELECT count(*) FROM emails")[0][0] == before + 1


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (SUBJECT.replace('"By a generated client"', "7"), "Type 'number' is not assignable"),
        (f'{SUBJECT} priority: "high",', "Type 'string' is not assignable"),
        ('}});\nawait client.POST("/api/templates", {body: {name: "hello", sbject: "Hello",', "sbject"),
    ],
)
def test_the_compiler_refuses_what_the_api_would(folder: Path, line: str, told: str) -> None:
    """A wrong type, and a misspelt field where the right one is needed."""
    compiler = need_package("typescript")
    (folder / "wrong.ts").write_text(APP.replace(SUBJECT, line))
    with pytest.raises(AssertionError, match=told):
        run_node(compiler / "bin/tsc", "--noEmit", "-p", ".", cwd=_only(folder, "wrong.ts"))


def _only(folder: Path, name: str) -> Path:
    (folder / "tsconfig.json").write_text(json.dumps(STRICT | {"files": [name]}))
    return folder
