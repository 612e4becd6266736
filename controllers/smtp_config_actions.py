"""SMTP configs: test, pause, resume."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from controllers.operation import Call, Operation, operation
from controllers.schemas import answers as says
from controllers.schemas.smtp_configs import TestBody
from services import config_test, configs
from services.principal import Scope

bp = APIBlueprint("smtp_config_actions", __name__)
TAG = "SMTP configs"


@operation(bp, "POST", "/api/smtp-configs/<id:config_id>/test", Operation(
    "test_smtp_config", "Connect, agree on TLS, log in, and tell each step", TAG, Scope.ADMIN,
    {200: ("What happened; `ok` is false when a step failed", says.CONFIG_TEST)}, group="test", outward=True,
    body=TestBody, example={"send_to": "you@example.com"}, body_optional=True,
))  # fmt: skip
def test(call: Call, config_id: int) -> dict[str, Any]:
    config = configs.find(call.who, config_id)
    return config_test.run_test(call.relay, config, call.body.send_to if call.body else None, call.now)


@operation(bp, "POST", "/api/smtp-configs/<id:config_id>/pause", Operation(
    "pause_smtp_config", "Send nothing more through it until it is resumed", TAG, Scope.ADMIN,
    {200: ("Paused", says.MESSAGE)}, group="admin",
))  # fmt: skip
def pause(call: Call, config_id: int) -> dict[str, str]:
    """Mail that is pinned to it waits; other mail goes through other configs."""
    configs.pause(call.who, config_id)
    return {"message": "SMTP configuration paused"}


@operation(bp, "POST", "/api/smtp-configs/<id:config_id>/resume", Operation(
    "resume_smtp_config", "Lift its pause and its breaker, and try again at once", TAG, Scope.ADMIN,
    {200: ("Resumed", says.MESSAGE)}, group="admin",
))  # fmt: skip
def resume(call: Call, config_id: int) -> dict[str, str]:
    configs.resume(call.relay, call.who, config_id)
    return {"message": "SMTP configuration resumed"}
