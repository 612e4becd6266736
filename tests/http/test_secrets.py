"""Planted secrets turn up in no answer, no log record and no file but the one that is meant to hold them."""

from __future__ import annotations

import io
import logging
from pathlib import Path

from models import Event, SmtpConfig
from models.database import rows
from tests.support import database as databases
from tests.support.app import CONFIG, EMAIL, JWT_SECRET, MASTER_KEY, caller, running_app
from utils import logs

PASSWORD = "planted-Pa55word-of-a-config"


def test_planted_secrets_turn_up_nowhere(tmp_path: Path) -> None:
    log = io.StringIO()
    with running_app(tmp_path) as app:
        handler = logging.StreamHandler(log)
        handler.setFormatter(logs.TextFormatter())
        logging.getLogger().addHandler(handler)
        logging.getLogger().setLevel(logging.DEBUG)
        try:
            service = caller(app, MASTER_KEY)
            answers = [
                service.post(
                    "/api/smtp-configs",
                    CONFIG | {"password": PASSWORD, "smtp_host": "127.0.0.1", "smtp_port": 9},
                )
            ]
            config = answers[0].json["config_id"]
            made = service.post("/api/keys", {"name": "app", "tenant_id": "a"}).json["key"]
            app_key = caller(app, made)
            answers += [
                service.get("/api/smtp-configs"),
                service.get(f"/api/smtp-configs/{config}"),
                service.put(f"/api/smtp-configs/{config}", {"password": PASSWORD, "nonsense": PASSWORD}),
                service.put(f"/api/smtp-configs/{config}", {"password": [PASSWORD]}),
                service.put(f"/api/smtp-configs/{config}", {"password": PASSWORD + "\0"}),
                service.post("/api/smtp-configs", CONFIG | {"password": PASSWORD, "smtp_port": PASSWORD}),
                service.post(f"/api/smtp-configs/{config}/test", {}),
                service.call(
                    "POST",
                    "/api/smtp-configs",
                    data=f'{{"password": "{PASSWORD}"',
                    content_type="application/json",
                ),
                service.get("/api/keys"),
                service.get("/metrics"),
                service.get("/openapi.json"),
                service.get("/ready"),
                app_key.post("/api/emails", EMAIL),
                app_key.get("/api/keys"),
                app_key.get("/api/emails", headers={"X-Auth-Token": JWT_SECRET}),
                service.get("/nonsense"),
            ]
            del app.extensions["mailferry.limits"]
            app.config["PROPAGATE_EXCEPTIONS"] = False
            answers.append(service.post("/api/smtp-configs", CONFIG | {"password": PASSWORD}))
            assert answers[-1].status_code == 500
            stored = "".join(str(one.__data__) for model in (SmtpConfig, Event) for one in model.select())
        finally:
            logging.getLogger().removeHandler(handler)
            logging.getLogger().setLevel(logging.WARNING)
        settings_secret = app.secret_key
    told = "".join(one.get_data(as_text=True) + str(one.headers) for one in answers) + log.getvalue() + stored
    for secret in (PASSWORD, MASTER_KEY, JWT_SECRET, made, str(settings_secret)):
        assert secret not in told
    assert log.getvalue()


def test_a_password_is_encrypted_at_rest(tmp_path: Path) -> None:
    with running_app(tmp_path) as app:
        caller(app, MASTER_KEY).post("/api/smtp-configs", CONFIG | {"password": PASSWORD})
        ((stored,),) = rows("SELECT password FROM smtp_configs WHERE name = ?", CONFIG["name"])
    assert stored and PASSWORD not in stored
    files = [one for one in tmp_path.iterdir() if one.is_file()]
    assert databases.POSTGRESQL or any(one.name.startswith("mailferry.db") for one in files)
    assert all(PASSWORD.encode() not in one.read_bytes() for one in files)
