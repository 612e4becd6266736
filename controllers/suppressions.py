"""Suppressed addresses: read, add, remove, import, export. A service key that names no tenant has the service's own."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from apiflask import APIBlueprint
from flask import Response

from controllers.operation import Call, Operation, answered, next_link, operation
from controllers.schemas import answers as says
from controllers.schemas.suppressions import SuppressionBody, SuppressionsQuery
from services import suppression_files, suppressions
from services.errors import FieldError, InvalidInputError
from services.principal import Scope
from services.suppressions import New

bp = APIBlueprint("suppressions", __name__)
TAG = "Suppressions"
PATH = "/api/suppressions/<address:address>"
CSV = "text/csv"


@operation(bp, "GET", "/api/suppressions", Operation(
    "list_suppressions", "Addresses that get no mail, in their order", TAG, Scope.READ,
    {200: ("A page of addresses", says.SUPPRESSIONS)}, query=SuppressionsQuery,
    sets=("Link",),
))  # fmt: skip
def listed(call: Call) -> Response:
    """Hard bounces and complaints enter it by themselves. A service key that names no tenant reads the service's
    own list.
    """
    query: SuppressionsQuery = call.query
    found = suppressions.listed(call.who.tenant, query.filters(), query.limit + 1, query.cursor or "")
    page = found[: query.limit]
    after = page[-1]["address"] if len(found) > query.limit else None
    response = answered({"suppressions": page, "next_cursor": after})
    if after is not None:
        response.headers["Link"] = next_link({"cursor": after})
    return response


@operation(bp, "POST", "/api/suppressions", Operation(
    "add_suppression", "Send no more mail to an address", TAG, Scope.SEND,
    {201: ("Added", says.SUPPRESSION), 200: ("It was there already, and stays as it was", says.SUPPRESSION)},
    body=SuppressionBody, example={"address": "ann@example.com", "detail": "asked by phone"},
))  # fmt: skip
def add(call: Call) -> tuple[dict[str, Any], int]:
    body: SuppressionBody = call.body
    address = suppressions.normal(body.address)
    added = suppressions.add(call.who.tenant, [New(address, body.reason, body.detail)], call.now)
    return suppressions.find(call.who.tenant, address), 201 if added else 200


@operation(bp, "GET", "/api/suppressions/export", Operation(
    "export_suppressions", "The whole list as CSV", TAG, Scope.READ,
    {200: ("address, reason, detail, created_at", says.BINARY)}, content_type=CSV,
))  # fmt: skip
def exported(call: Call) -> Response:
    response = Response(suppression_files.written(call.who.tenant), mimetype=CSV)
    response.headers["Content-Disposition"] = 'attachment; filename="suppressions.csv"'
    return response


@operation(bp, "POST", "/api/suppressions/import", Operation(
    "import_suppressions", "Add the addresses of a CSV file", TAG, Scope.ADMIN,
    {200: ("How many were added, were there already, or are wrong", says.IMPORTED)}, group="admin", raw_body=True,
    large=True, raw_content=CSV, example="address,reason,detail\nann@example.com,manual,moved\n",
))  # fmt: skip
def imported(call: Call) -> dict[str, Any]:
    """Columns `address`, `reason`, `detail` and `created_at`; only the first is needed. A wrong line is told and
    left out.
    """
    return asdict(suppression_files.read(call.who.tenant, _text(call), call.now))


@operation(bp, "GET", PATH, Operation(
    "get_suppression", "Whether an address is suppressed, and why", TAG, Scope.READ,
    {200: ("It is", says.SUPPRESSION)},
))  # fmt: skip
def detail(call: Call, address: str) -> dict[str, Any]:
    return suppressions.find(call.who.tenant, address)


@operation(bp, "DELETE", PATH, Operation(
    "remove_suppression", "Send mail to an address again", TAG, Scope.ADMIN, {204: ("Removed", None)}, group="admin",
))  # fmt: skip
def remove(call: Call, address: str) -> tuple[None, int]:
    """The next email to it is tried again. If it bounces again, the address comes back."""
    suppressions.remove(call.who.tenant, address)
    return None, 204


def _text(call: Call) -> str:
    if call.request.mimetype != CSV:
        raise InvalidInputError.of([FieldError("Content-Type", "must be text/csv", "WRONG_CONTENT_TYPE")])
    try:
        text = call.request.get_data(cache=False).decode()
    except UnicodeDecodeError:
        raise InvalidInputError.of([FieldError("body", "is not UTF-8", "INVALID_CSV")]) from None
    return text
