"""The whole application in the test's own process, over a fresh database."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apiflask import APIFlask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

import config
from app import create_app
from services import keys, sandbox
from services.principal import Scope
from tests.support import database as databases
from utils.clock import now_ms
from utils.crypto import new_fernet_key

MASTER_KEY = "mf_master-key-of-the-tests"
JWT_SECRET = "a-jwt-secret-of-the-tests-000000"


def settings(folder: Path, **changes: str) -> config.Settings:
    env = {
        "DATA_DIR": str(folder),
        "SECRET_KEY": "s" * 32,
        "CREDENTIALS_KEY": new_fernet_key(),
        "API_KEY": MASTER_KEY,
        "JWT_SECRET": JWT_SECRET,
        "MESSAGE_ID_DOMAIN": "relay.test",
        "MIN_FREE_MB": "0",
    }
    return config.from_env(env | databases.settings(folder) | changes)


@contextmanager
def running_app(folder: Path, **changes: str) -> Iterator[APIFlask]:
    """With the sandbox's config, as the first start makes it. Log handlers stay as they were."""
    handlers = logging.getLogger().handlers[:]
    app = create_app(settings(folder, **changes))
    logging.getLogger().handlers[:] = handlers
    sandbox.ensure_config(app.extensions["mailferry"].policy, now_ms())
    try:
        yield app
    finally:
        databases.close()


@dataclass
class Caller:
    """A client with a credential."""

    client: FlaskClient
    headers: dict[str, str]

    def call(self, method: str, path: str, json: Any = None, **more: Any) -> TestResponse:
        headers = self.headers | more.pop("headers", {})
        if json is not None:
            more["json"] = json
        return self.client.open(path, method=method, headers=headers, **more)

    def get(self, path: str, **more: Any) -> TestResponse:
        return self.call("GET", path, **more)

    def post(self, path: str, json: Any = None, **more: Any) -> TestResponse:
        return self.call("POST", path, json, **more)

    def put(self, path: str, json: Any = None, **more: Any) -> TestResponse:
        return self.call("PUT", path, json, **more)

    def patch(self, path: str, json: Any = None, **more: Any) -> TestResponse:
        return self.call("PATCH", path, json, **more)

    def delete(self, path: str, **more: Any) -> TestResponse:
        return self.call("DELETE", path, **more)


def caller(app: APIFlask, key: str) -> Caller:
    return Caller(app.test_client(), {"X-API-Key": key})


def new_key(tenant: str = "", *scopes: Scope, user: str = "", rate_limit: int | None = None) -> str:
    """The secret of a new API key; of all scopes unless some are named."""
    request = keys.KeyRequest(f"key of {tenant}", tenant, user, scopes or tuple(Scope), rate_limit)
    return keys.create(request, now_ms())[1]


def tenant_caller(app: APIFlask, tenant: str, *scopes: Scope, user: str = "") -> Caller:
    return caller(app, new_key(tenant, *scopes, user=user))


CONFIG = {
    "name": "Gmail Account",
    "email_address": "me@gmail.com",
    "display_name": "My Name",
    "smtp_host": "smtp.gmail.com",
    "smtp_port": 587,
    "username": "me@gmail.com",
    "password": "planted-smtp-password",
    "use_tls": True,
    "daily_limit": 500,
    "hourly_limit": 50,
}
EMAIL = {"subject": "Hello", "recipients": ["ann@example.com"], "text_content": "Hello Ann"}
