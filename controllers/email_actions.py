"""What a person or an app may do with a stored email."""

from __future__ import annotations

from apiflask import APIBlueprint

from controllers.operation import Call, Operation, operation
from controllers.schemas import answers as says
from controllers.schemas.emails import PatchBody, ResolveBody
from services import actions
from services.principal import Scope

bp = APIBlueprint("email_actions", __name__)
TAG = "Emails"
PATH = "/api/emails/<id:email_id>"
DONE = {200: ("Done", says.MESSAGE)}


@operation(bp, "POST", f"{PATH}/cancel", Operation(
    "cancel_email", "Cancel an email that waits", TAG, Scope.SEND, DONE, group="send", errors=(409,),
))  # fmt: skip
def cancel(call: Call, email_id: int) -> dict[str, str]:
    actions.cancel(call.who.visible_tenant, email_id, call.now)
    return {"message": "Email cancelled"}


@operation(bp, "POST", f"{PATH}/retry", Operation(
    "retry_email", "Queue a failed, cancelled or unknown email again", TAG, Scope.SEND, DONE, group="send",
    errors=(409, 507),
))  # fmt: skip
def retry(call: Call, email_id: int) -> dict[str, str]:
    actions.retry(call.relay, call.who.visible_tenant, email_id, call.now)
    return {"message": "Email queued again"}


@operation(bp, "POST", f"{PATH}/resolve", Operation(
    "resolve_email", "Settle an unknown email as sent or failed", TAG, Scope.SEND, DONE, group="send",
    body=ResolveBody, example={"outcome": "sent"}, errors=(409,),
))  # fmt: skip
def resolve(call: Call, email_id: int) -> dict[str, str]:
    actions.resolve(call.who.visible_tenant, email_id, call.body.outcome, call.now)
    return {"message": f"Email settled as {call.body.outcome}"}


@operation(bp, "PATCH", PATH, Operation(
    "update_email", "Reschedule, re-prioritise or re-pin an email that waits", TAG, Scope.SEND, DONE, group="send",
    body=PatchBody, example={"priority": 1}, errors=(409,),
))  # fmt: skip
def patch(call: Call, email_id: int) -> dict[str, str]:
    body: PatchBody = call.body
    pin = body.smtp_config_id if "smtp_config_id" in body.model_fields_set else actions.UNSET
    changes = actions.Patch(priority=body.priority, send_at=body.send_at, smtp_config_id=pin)
    actions.patch(call.relay, call.who.visible_tenant, email_id, changes, call.now, call.who.user)
    return {"message": "Email updated"}


@operation(bp, "DELETE", PATH, Operation(
    "erase_email", "Erase what an email says; its row and timeline stay until retention", TAG, Scope.SEND,
    {204: ("Erased", None)}, group="send", errors=(409,),
))  # fmt: skip
def erase(call: Call, email_id: int) -> tuple[None, int]:
    actions.erase(call.who.visible_tenant, email_id, call.now)
    return None, 204
