"""SMTP configs: create, read, update, delete."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import Response

from controllers.operation import Call, Operation, answered, operation, paged
from controllers.schemas import answers as says
from controllers.schemas.smtp_configs import ConfigChangesBody, NewConfigBody, PageQuery
from services import configs
from services.config_view import view
from services.principal import Scope

bp = APIBlueprint("smtp_configs", __name__)
TAG = "SMTP configs"
EXAMPLE = {
    "name": "Gmail Account", "email_address": "you@gmail.com", "display_name": "Your Name", "provider": "gmail",
    "username": "you@gmail.com", "password": "an-app-password", "hourly_limit": 50,
}  # fmt: skip
EXAMPLES = {
    "Of a known provider": EXAMPLE,
    "Any other server": {
        "name": "Our own", "email_address": "news@example.com", "smtp_host": "mail.example.com", "smtp_port": 465,
        "use_ssl": True, "username": "news@example.com", "password": "a-password", "daily_limit": 2_000,
        "allow_any_sender": True,
    },
}  # fmt: skip


@operation(bp, "POST", "/api/smtp-configs", Operation(
    "create_smtp_config", "Add an SMTP account to send through", TAG, Scope.ADMIN,
    {201: ("Its id", says.CONFIG_CREATED)}, group="admin", body=NewConfigBody, example=EXAMPLE,
    examples=EXAMPLES, errors=(409,),
    sets=("Location",),
))  # fmt: skip
def create(call: Call) -> Response:
    """`provider` fills host, port, TLS and that provider's usual limits; what stands beside it wins. Nothing is
    connected here: `POST /api/smtp-configs/{config_id}/test` tells whether it works.
    """
    body: NewConfigBody = call.body
    config_id = configs.create(call.relay, call.who, body.values(), call.now)
    response = answered(({"message": "SMTP configuration created successfully", "config_id": config_id}, 201))
    response.headers["Location"] = f"/api/smtp-configs/{config_id}"
    return response


@operation(bp, "GET", "/api/smtp-configs", Operation(
    "list_smtp_configs", "SMTP configs, with the use of their limits", TAG, Scope.READ,
    {200: ("A page of configs", says.array(says.CONFIG))}, query=PageQuery,
    sets=("X-Total-Count", "Link"),
))  # fmt: skip
def listed(call: Call) -> Response:
    query: PageQuery = call.query
    found, total = configs.listed(call.who, query.limit, query.offset)
    end = query.offset + len(found)
    items = [view(config, call.now) for config in found]
    return paged(items, total, {"offset": end} if end < total and items else None)


@operation(bp, "GET", "/api/smtp-configs/<id:config_id>", Operation(
    "get_smtp_config", "One SMTP config: settings, limits and their use, what holds it", TAG, Scope.READ,
    {200: ("The config", says.CONFIG)},
))  # fmt: skip
def detail(call: Call, config_id: int) -> dict[str, Any]:
    return view(configs.find(call.who, config_id), call.now)


@operation(bp, "PUT", "/api/smtp-configs/<id:config_id>", Operation(
    "update_smtp_config", "Change some settings of an SMTP config", TAG, Scope.ADMIN,
    {200: ("Changed", says.MESSAGE)}, group="admin", body=ConfigChangesBody,
    example={"active": False, "daily_limit": 1000}, errors=(409,),
))  # fmt: skip
def update(call: Call, config_id: int) -> dict[str, str]:
    """Only the fields that are given change. Another host, port, TLS mode or username clears the password, unless a
    new one comes along: it must not be handed to another server.
    """
    body: ConfigChangesBody = call.body
    cleared = configs.update(call.relay, call.who, config_id, body.values(), call.now)
    message = "SMTP configuration updated successfully"
    if cleared:
        message += "; its password was cleared, since it now connects elsewhere: send the password again"
    return {"message": message}


@operation(bp, "DELETE", "/api/smtp-configs/<id:config_id>", Operation(
    "delete_smtp_config", "Delete an SMTP config", TAG, Scope.ADMIN, {204: ("Deleted", None)}, group="admin",
    errors=(409,),
))  # fmt: skip
def delete(call: Call, config_id: int) -> tuple[None, int]:
    """A 409 means that emails that wait are pinned to it, or that it belongs to a mail account."""
    configs.delete(call.who, config_id)
    return None, 204
