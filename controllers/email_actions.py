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
    """A 409 means that it has left already, or is on the wire."""
    actions.cancel(call.who.visible_tenant, email_id, call.now)
    return {"message": "Email cancelled"}


@operation(bp, "POST", f"{PATH}/retry", Operation(
    "retry_email", "Queue a failed, cancelled or unknown email again", TAG, Scope.SEND, DONE, group="send",
    errors=(409, 507),
))  # fmt: skip
def retry(call: Call, email_id: int) -> dict[str, str]:
    """It is tried from the start, under the SMTP configs of today. Recipients who have got it do not get it again."""
    actions.retry(call.relay, call.who.visible_tenant, email_id, call.now)
    return {"message": "Email queued again"}


@operation(bp, "POST", f"{PATH}/resolve", Operation(
    "resolve_email", "Settle an unknown email as sent or failed", TAG, Scope.SEND, DONE, group="send",
    body=ResolveBody, example={"outcome": "sent"}, errors=(409,),
))  # fmt: skip
def resolve(call: Call, email_id: int) -> dict[str, str]:
    """An email is `unknown` when a connection was lost after its last byte, so that only the server can know
    whether it took it. Look into the mailbox or the server's log, and say so here; or send it again with `/retry`.
    """
    actions.resolve(call.who.visible_tenant, email_id, call.body.outcome, call.now)
    return {"message": f"Email settled as {call.body.outcome}"}


@operation(bp, "PATCH", PATH, Operation(
    "update_email", "Reschedule, re-prioritise or re-pin an email that waits", TAG, Scope.SEND, DONE, group="send",
    body=PatchBody, example={"priority": 1}, errors=(409,),
))  # fmt: skip
def patch(call: Call, email_id: int) -> dict[str, str]:
    """A 409 means that it waits no more."""
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
    """Subject, text, files and metadata are gone at once, which cannot be undone; addresses and timeline stay. An
    email that waits is cancelled. A 409 means that it is being sent: try again.
    """
    actions.erase(call.who.visible_tenant, email_id, call.now)
    return None, 204
