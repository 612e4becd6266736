"""Composition root: `create_app()` for a WSGI server, and the `python app.py …` command line."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import config
from utils.clock import DAY, HOUR, SECOND

# What is imported in the functions below takes its time, and half of the commands do without it.
if TYPE_CHECKING:
    from apiflask import APIFlask

    from services.relay import Policy, Relay
    from workers.guest import Guest

MEGABYTE = 1_000_000
DATABASE_PATIENCE = 60.0  # seconds; then the supervisor may start us again


def create_app(settings: config.Settings | None = None) -> APIFlask:
    """The WSGI application over an up-to-date database. Delivery is started by gunicorn.conf.py's hooks."""
    from apiflask import APIFlask

    from controllers import web

    settings = settings or config.load()
    relay = compose(settings, DATABASE_PATIENCE)
    app = APIFlask("mailferry", root_path=str(config.ROOT))
    app.secret_key = settings.secret_key
    app.extensions["mailferry"] = relay
    web.register(
        app,
        cors_origins=settings.cors_origins,
        trusted_proxies=settings.trusted_proxies,
        streams=max(1, settings.web_threads // 4),
    )
    return app


def compose(settings: config.Settings, patience: float = 0.0) -> Relay:
    """The handles that services share, over a database that is brought up to date.

    `patience`: seconds to wait for a database server that does not answer yet.
    """
    import models

    relay = bind(settings)
    models.initialize_db(settings.database, patience=patience)
    return relay


def bind(settings: config.Settings) -> Relay:
    """The same over the database as it is: for the doctor, who must not treat before he has looked."""
    import models
    from services.relay import Relay
    from utils import logs
    from utils.crypto import Signer, Vault

    logs.configure(settings.log_level, settings.log_format)
    logs.mask([settings.api_key, settings.secret_key, settings.jwt_secret, *settings.credentials_key])
    logs.mask([config.password_in(settings.database_url)])
    models.bind(settings.database)
    vault, signer = Vault(list(settings.credentials_key)), Signer(settings.secret_key, "message-id")
    return Relay(policy_of(settings), vault, signer, wake=models.announce, described=settings.explained())


def policy_of(settings: config.Settings) -> Policy:
    from services.relay import Policy
    from utils.machine import host_name

    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Policy(
        data_dir=settings.data_dir,
        max_retries=settings.max_retries,
        max_age=settings.max_age_hours * HOUR,
        priority_step=settings.priority_step * SECOND,
        message_id_domain=settings.message_id_domain,
        max_message_bytes=settings.max_message_mb * MEGABYTE,
        min_free_bytes=settings.min_free_mb * MEGABYTE,
        body_retention=settings.body_retention_days * DAY,
        retention=settings.retention_days * DAY,
        allow_private_hosts=settings.allow_private_hosts,
        sandbox_port=settings.sandbox_smtp_port if settings.sandbox else None,
        helo=host_name() if "." in host_name() else settings.message_id_domain,
        rate_limits=settings.rate_limits,
        master_key=settings.api_key,
        jwt_secret=settings.jwt_secret,
    )


def member(settings: config.Settings, relay: Relay) -> AbstractContextManager[Guest]:
    """For a command that does the work of a daemon where there is none."""
    from workers.guest import guest

    return guest(relay, settings.lease_seconds)


def serve() -> None:
    """Become gunicorn, with the settings of gunicorn.conf.py."""
    os.chdir(config.ROOT)
    arguments = ["-m", "gunicorn", "-c", str(config.ROOT / "gunicorn.conf.py"), "app:create_app()"]
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 - no user input in it


if __name__ == "__main__":
    from controllers.cli import CliContext, main

    context = CliContext(config.load, compose, serve, bind, config.env_file(), member, config.has_key)
    sys.exit(main(context))
