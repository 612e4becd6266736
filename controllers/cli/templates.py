"""Stored templates from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from controllers.bodies import checked
from controllers.cli.confirm import confirmed, yes_option
from controllers.cli.context import Session, operator, pass_session
from controllers.cli.output import json_option, print_facts, print_json, print_table, safe, tenant_option
from controllers.schemas.templates import NewTemplateBody, PreviewBody
from services.errors import NotFoundError
from services.principal import Principal
from services.submission import TemplateUse
from services.templates import preview as previews
from services.templates import store, view
from utils.clock import iso, now_ms

_ALL = 1_000_000
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_PARTS = ("subject", "html", "text")


def _variables_options(command: Any) -> Any:
    command = click.option("--vars", "file", type=_FILE, help="JSON file with the variables.")(command)
    return click.option(
        "--var", "pairs", multiple=True, metavar="NAME=VALUE", help="One variable. Repeatable."
    )(command)


@click.group("templates")
def group() -> None:
    """Save, show, preview, try out and delete stored templates."""


@group.command("list")
@tenant_option
@json_option
@pass_session
def list_(session: Session, tenant: str, as_json: bool) -> None:
    """List templates by name."""
    session.open()
    found = [view.summary(one) for one in store.listed(operator(tenant), _ALL, 0)[0]]
    if as_json:
        print_json(found)
        return
    columns = ("id", "name", "version", "updated_at", "description")
    print_table(columns, [[one[name] for name in columns] for one in found])


@group.command()
@click.argument("template")
@click.option("--version", type=click.IntRange(1), help="An older one; default: the one in force.")
@click.option("--part", type=click.Choice(_PARTS), help="Print the source of this part alone.")
@tenant_option
@json_option
@pass_session
def show(
    session: Session, template: str, version: int | None, part: str | None, tenant: str, as_json: bool
) -> int:
    """Show a template, by its name or id, and the variables that it uses."""
    session.open()
    found = view.detail(store.find(operator(tenant), template), version)
    if part is not None:
        click.echo(found[part] or "", nl=False)
        return 0 if found[part] is not None else 1
    if as_json:
        print_json(found)
    else:
        print_facts([(name, value) for name, value in found.items() if name not in ("html", "text")])
        for name in ("html", "text"):
            if found[name] is not None:
                click.echo(f"\n--- {name}\n{_printable(found[name])}")
    return 0


@group.command()
@click.argument("file", type=_FILE)
@click.option("--name", help="Default: the file's name without its ending.")
@click.option("--subject", help="Needed for a new one.")
@click.option(
    "--text", "text_file", type=_FILE, help="File with the text part; default: derived from the html."
)
@click.option("--description", help="For people.")
@tenant_option
@json_option
@pass_session
def save(
    session: Session,
    /,
    file: Path,
    name: str | None,
    text_file: Path | None,
    tenant: str,
    as_json: bool,
    **facts: Any,
) -> None:
    """Save a template from FILE: html, or the text part where it ends in .txt. One of that name gets a new version."""
    session.open()
    who, name = operator(tenant), name or file.name.partition(".")[0]
    fields = {key: value for key, value in facts.items() if value is not None}
    fields["text" if file.suffix == ".txt" else "html"] = _read(file)
    if text_file is not None:
        fields["text"] = _read(text_file)
    version = _save(who, name, fields)
    session.target, session.details = name, {"version": version}
    if as_json:
        print_json({"name": name, "version": version})
    else:
        click.echo(f"Template {name}: version {version} is in force.")


@group.command()
@click.argument("template")
@_variables_options
@click.option("--version", type=click.IntRange(1), help="Default: the one in force.")
@click.option("--part", type=click.Choice(_PARTS), help="Print this part alone.")
@tenant_option
@json_option
@pass_session
def preview(
    session: Session, template: str, file: Path | None, pairs: tuple[str, ...], version: int | None,
    part: str | None, tenant: str, as_json: bool,
) -> int:  # fmt: skip
    """Render a template. Exit status 1 when variables are missing."""
    relay = session.open()
    found = previews.preview(relay, operator(tenant), template, _variables(file, pairs), version).view()
    if part is not None:
        click.echo(found[part] or "", nl=False)
    elif as_json:
        print_json(found)
    else:
        print_facts([(name, found[name]) for name in ("subject", "variables", "optional")])
        click.echo("\n" + _printable(found["text"] or ""))
    if found["missing"]:
        click.echo(f"missing: {safe(', '.join(found['missing']))}", err=True)
    return 1 if found["missing"] else 0


@group.command()
@click.argument("template")
@click.option("--to", required=True, help="Recipient.")
@_variables_options
@click.option("--version", type=click.IntRange(1), help="Default: the one in force.")
@click.option("--config", "config_id", type=int, help="Id of the SMTP config to use.")
@tenant_option
@json_option
@pass_session
def test(
    session: Session, template: str, to: str, file: Path | None, pairs: tuple[str, ...], version: int | None,
    config_id: int | None, tenant: str, as_json: bool,
) -> None:  # fmt: skip
    """Queue an email made of a template."""
    relay = session.open()
    use = TemplateUse(template, version, _variables(file, pairs))
    answer = previews.send_test(relay, operator(tenant), template, to, use, config_id, now_ms())
    if as_json:
        print_json({"email_id": answer.body["email_id"]})
    else:
        click.echo(f"Email {answer.body['email_id']} is queued.")


@group.command()
@click.argument("template")
@tenant_option
@json_option
@pass_session
def versions(session: Session, template: str, tenant: str, as_json: bool) -> None:
    """List the versions of a template, newest first."""
    session.open()
    found = store.versions(store.find(operator(tenant), template), _ALL, 0)
    told = [{"version": number, "created_at": iso(at), "subject": subject} for number, at, subject in found]
    if as_json:
        print_json(told)
        return
    print_table(("version", "created_at", "subject"), [list(one.values()) for one in told])


@group.command()
@click.argument("template")
@click.argument("version", type=click.IntRange(1))
@tenant_option
@json_option
@pass_session
def restore(session: Session, template: str, version: int, tenant: str, as_json: bool) -> None:
    """Put what an older version says in force again, as a new version."""
    session.open()
    number = store.restore(operator(tenant), template, version, now_ms())
    session.target, session.details = template, {"version": number, "as": version}
    if as_json:
        print_json({"name": template, "version": number})
    else:
        click.echo(f"Template {template}: version {number} is in force, and says what {version} said.")


@group.command()
@click.argument("template")
@yes_option
@tenant_option
@json_option
@pass_session
def delete(session: Session, template: str, yes: bool, tenant: str, as_json: bool) -> int:
    """Delete a template and all its versions. Mail that was made of it is not touched."""
    session.open()
    name = store.find(operator(tenant), template).name
    session.target = ""
    if not confirmed(f"Delete the template {safe(name)} and all its versions?", yes):
        return 1
    store.delete(operator(tenant), template)
    session.target = name
    if as_json:
        print_json({"name": name, "deleted": True})
    else:
        click.echo(f"Template {name} is deleted.")
    return 0


def _save(who: Principal, name: str, fields: dict[str, Any]) -> int:
    try:
        found = store.find(who, name)
    except NotFoundError:
        body = checked({"name": name, **fields}, NewTemplateBody)
        return store.create(who, body.model_dump(), now_ms())[1]
    return store.update(who, found.id, fields, now_ms())


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise click.ClickException(f"{path} is not UTF-8") from None


def _variables(file: Path | None, pairs: tuple[str, ...]) -> dict[str, Any]:
    """Held to the rules of the API."""
    values: dict[str, Any] = {}
    if file is not None:
        try:
            values = json.loads(_read(file))
        except ValueError as exc:
            raise click.ClickException(f"{file} is not JSON: {exc}") from None
        if not isinstance(values, dict):
            raise click.ClickException(f"{file} holds no object")
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise click.UsageError(f"--var takes NAME=VALUE, not {pair}")
        values[name] = value
    return checked({"variables": values}, PreviewBody).variables


def _printable(text: str) -> str:
    """Without what could drive the terminal."""
    return "\n".join(safe(line.expandtabs(4)) for line in text.splitlines())
