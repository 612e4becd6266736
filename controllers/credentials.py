"""Credentials of mail accounts: stored, replaced, deleted; never read back."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from controllers.operation import Call, Operation, operation
from controllers.schemas import mail_answers as says
from controllers.schemas.accounts import CredentialBody
from services import credentials
from services.principal import Scope

bp = APIBlueprint("credentials", __name__)
TAG = "Accounts"
EXAMPLE = {"password": "app-specific-password"}


@operation(bp, "POST", "/api/credentials", Operation(
    "create_credential", "Store what logs in to a mail account", TAG, Scope.SEND,
    {201: ("Its id, for an account's credentialId", says.CREDENTIAL)}, group="accounts", of_user=True,
    body=CredentialBody, example=EXAMPLE,
))  # fmt: skip
def create(call: Call) -> tuple[dict[str, Any], int]:
    return credentials.view(credentials.create(call.who, _sealed(call), call.now)), 201


@operation(bp, "PUT", "/api/credentials/<key:credential_id>", Operation(
    "put_credential", "Store or replace a credential under an id of your choice", TAG, Scope.SEND,
    {200: ("Replaced", says.CREDENTIAL), 201: ("Stored", says.CREDENTIAL)}, group="accounts", of_user=True,
    body=CredentialBody, example=EXAMPLE,
))  # fmt: skip
def put(call: Call, credential_id: str) -> tuple[dict[str, Any], int]:
    """Accounts may name it before it is stored; they begin to sync once it is."""
    credential, is_new = credentials.put(call.who, credential_id, _sealed(call), call.now)
    return credentials.view(credential), 201 if is_new else 200


@operation(bp, "DELETE", "/api/credentials/<key:credential_id>", Operation(
    "delete_credential", "Delete a credential; accounts that log in by it wait for another", TAG, Scope.SEND,
    {204: ("Deleted", None)}, group="accounts", of_user=True,
))  # fmt: skip
def delete(call: Call, credential_id: str) -> tuple[None, int]:
    credentials.delete(call.who, credential_id, call.now)
    return None, 204


def _sealed(call: Call) -> credentials.Sealed:
    body: CredentialBody = call.body
    if body.password is not None:
        return credentials.sealed_password(call.relay, body.password)
    return credentials.sealed_grant(call.relay, body.grant(call.now))
