"""API keys, and the key that stored passwords are encrypted with."""

from __future__ import annotations

import click

from controllers.cli.completing import key_ids
from controllers.cli.context import Session, operator, pass_session
from controllers.cli.output import json_option, print_facts, print_json, print_table, tenant_option
from services import keys
from services.principal import Scope
from services.rotation import rotate_passwords
from utils.clock import now_ms
from utils.crypto import new_fernet_key

_ALL = 1_000_000
_UNREADABLE = "No key opens these passwords: add the key they were stored under, or set them anew."
_COLUMNS = (
    "id", "name", "prefix", "tenant_id", "user_id", "scopes", "rate_limit", "created_at", "last_used_at", "revoked_at",
)  # fmt: skip


@click.group("keys")
def group() -> None:
    """Make, list and revoke API keys; rotate the encryption of passwords."""


@group.command()
@click.option("--name", required=True, help="What it is for.")
@tenant_option
@click.option("--user", default="", help="Bind it to a user of the tenant.")
@click.option(
    "--scopes", default="send,read", show_default=True, help="Of send, read and admin, separated by commas."
)
@click.option(
    "--rate-limit", type=click.IntRange(1), help="Requests a minute; default: none for service keys."
)
@json_option
@pass_session
def create(
    session: Session, name: str, tenant: str, user: str, scopes: str, rate_limit: int | None, as_json: bool
) -> None:
    """Make a key and print it, this once."""
    request = keys.KeyRequest(name, tenant, user, _scopes(scopes), rate_limit)
    session.open()
    key, secret = keys.create(request, now_ms())
    session.target = str(key.id)
    if as_json:
        print_json(keys.described(key) | {"key": secret})
        return
    click.echo(f"Key {key.id} is made. Keep it now, it cannot be shown again:")
    click.echo(secret)


@group.command("list")
@tenant_option
@json_option
@pass_session
def list_(session: Session, tenant: str, as_json: bool) -> None:
    """List keys, newest first, the revoked ones too."""
    session.open()
    found, _ = keys.listed(operator(tenant).visible_tenant, _ALL, 0)
    if as_json:
        print_json(found)
        return
    print_table(
        [name.removesuffix("_id") for name in _COLUMNS], [[one[name] for name in _COLUMNS] for one in found]
    )


@group.command()
@click.argument("key_id", type=int, shell_complete=key_ids)
@tenant_option
@json_option
@pass_session
def revoke(session: Session, key_id: int, tenant: str, as_json: bool) -> None:
    """Revoke a key: it stops at once."""
    session.open()
    keys.revoke(operator(tenant).visible_tenant, key_id, now_ms())
    if as_json:
        print_json({"id": key_id, "revoked": True})
    else:
        click.echo(f"Key {key_id} is revoked.")


@group.command()
@click.option("--new", is_flag=True, help="Only make a new encryption key, and say how to bring it in.")
@json_option
@pass_session
def rotate(session: Session, new: bool, as_json: bool) -> int:
    """Encrypt every stored password anew, under the first key of CREDENTIALS_KEY."""
    if new:
        _explain(new_fernet_key(), as_json)
        return 0
    result = rotate_passwords(session.open())
    if as_json:
        print_json(
            {
                "rotated": result.rotated, "unreadable": result.unreadable,
                "unreadable_credentials": result.credentials,
            }
        )  # fmt: skip
    else:
        print_facts([
            ("rotated", result.rotated), ("unreadable configs", result.unreadable),
            ("unreadable credentials", result.credentials),
        ])  # fmt: skip
        told = "CREDENTIALS_KEY may now be its first key alone." if result.complete else _UNREADABLE
        click.echo(told, err=True)
    return 0 if result.complete else 1


def _explain(key: str, as_json: bool) -> None:
    if as_json:
        print_json({"key": key})
        return
    click.echo(key)
    click.echo(
        "Put it in front of the present one in .env (CREDENTIALS_KEY=new,old), restart the relay, run"
        " `python app.py keys rotate`, and then remove the old one.",
        err=True,
    )


def _scopes(text: str) -> tuple[Scope, ...]:
    try:
        return tuple(Scope(word.strip()) for word in text.split(",") if word.strip())
    except ValueError:
        raise click.UsageError("--scopes: must be of send, read and admin, separated by commas") from None
