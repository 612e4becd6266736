"""Addresses that get no mail, tenant by tenant: searched, added, removed, imported, exported."""

from __future__ import annotations

from flask import Response, request, url_for

from controllers.pages.frame import Done, Visit, action, page, render
from services import suppression_files
from services import suppressions as listing
from services.errors import FieldError, InvalidInputError
from services.roles import Role
from services.suppressions import Cause, Filters, New

PAGE_SIZE = 100
LARGEST = 5_000_000  # bytes of a file


@page("/suppressions")
def suppressions(visit: Visit) -> Response:
    tenant, after = request.args.get("tenant", ""), request.args.get("after", "")
    filters = Filters(request.args.get("reason") or None, request.args.get("q", "").strip()[:200] or None)
    found = listing.listed(tenant, filters, PAGE_SIZE + 1, after)
    asked = {name: value for name, value in request.args.items() if value and name != "after"}
    return render(
        "suppressions.html", found=found[:PAGE_SIZE], tenant=tenant, tenants=listing.tenants(), asked=asked,
        first=not after, causes=list(Cause), more=found[PAGE_SIZE - 1]["address"] if len(found) > PAGE_SIZE else None,
    )  # fmt: skip


@page("/suppressions/export")
def export_suppressions(visit: Visit) -> Response:
    response = Response(suppression_files.written(request.args.get("tenant", "")), mimetype="text/csv")
    response.headers["Content-Disposition"] = 'attachment; filename="suppressions.csv"'
    return response


@action("/suppressions", Role.OPERATOR)
def add_suppression(visit: Visit) -> Done:
    tenant = request.form.get("tenant", "")
    address = listing.normal(request.form.get("address", "").strip())
    added = listing.add(tenant, [New(address, Cause.MANUAL, request.form.get("detail", "")[:500])], visit.now)
    told = f"{address} gets no more mail." if added else f"{address} was there already."
    return Done(told, _to(tenant), address, {"tenant": tenant})


@action("/suppressions/remove", Role.OPERATOR)
def remove_suppression(visit: Visit) -> Done:
    tenant, address = request.form.get("tenant", ""), request.form.get("address", "")
    listing.remove(tenant, address)
    return Done(f"{address} gets mail again.", _to(tenant), address, {"tenant": tenant})


@action("/suppressions/import", Role.ADMIN)
def import_suppressions(visit: Visit) -> Done:
    tenant, file = request.form.get("tenant", ""), request.files.get("file")
    data = file.read(LARGEST + 1) if file else b""
    if not data or len(data) > LARGEST:
        raise InvalidInputError.of(
            [FieldError("file", f"must be a CSV file of at most {LARGEST // 10**6} MB")]
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInputError.of([FieldError("file", "must be in UTF-8")]) from None
    result = suppression_files.read(tenant, text, visit.now)
    told = f"{result.added} added, {result.present} were there already, {result.failed} could not be read."
    if result.rejected:
        first = result.rejected[0]
        told += f" Line {first['line']}: {first['message']}."
    numbers = {"tenant": tenant, "added": result.added, "failed": result.failed}
    return Done(told, _to(tenant), "", numbers, "warning" if result.failed else "success")


def _to(tenant: str) -> str:
    return url_for("pages.suppressions", tenant=tenant or None)
