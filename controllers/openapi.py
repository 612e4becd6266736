"""/openapi.json: APIFlask collects the paths, and the operations say the rest themselves."""

from __future__ import annotations

from typing import Any, get_args

from apiflask import APIFlask
from pydantic import BaseModel

from controllers.operation import Operation
from controllers.schemas import answers as says
from controllers.schemas.emails import Status
from services.principal import NAME_PATTERN
from utils.version import VERSION

_REF = "#/components/schemas/{model}"
_DESCRIPTION = (
    "A queue-driven outbound mail relay. Hand it email; it stores each one durably and delivers it through a pool of"
    " SMTP accounts, under the limits of each. Times are ISO 8601 in UTC."
)
_TAGS = (
    "Service", "Emails", "SMTP configs", "Queue", "Sandbox", "Keys", "Accounts", "Sync", "Folders", "Messages",
    "Attachments", "Compose", "Suppressions", "Templates",
)  # fmt: skip
_SECURITY = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "Bearer": {"type": "http", "scheme": "bearer", "description": "an API key or a JWT"},
    "Token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token", "description": "a JWT"},
}
_NAME = {"type": "string", "pattern": NAME_PATTERN}
_NAMING = [
    {"name": name, "in": place, "schema": _NAME, "description": description}
    for name, place, description in (
        ("X-Tenant-ID", "header", "a service key names the tenant that it acts for"),
        ("X-User-ID", "header", "and the user; needs X-Tenant-ID"),
    )
]
_KEY = {"type": "string", "pattern": NAME_PATTERN}
_PATH_SCHEMAS: dict[str, dict[str, Any]] = {
    "status": {"type": "string", "enum": list(get_args(Status))},
    "address": {"type": "string", "minLength": 3, "maxLength": 320, "pattern": "^[^/@]+@[^/@]+$"},
    **dict.fromkeys(("account_id", "credential_id", "draft_id", "task_id", "template"), _KEY),
}
_ID = {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}
_ERRORS = {
    400: "Something in the request is wrong; `details` names every bad field",
    401: "No credential, or not a good one",
    403: "The credential may not do this",
    404: "No such object, or none of this tenant",
    405: "The path does not take this method",
    409: "The object's state does not allow it",
    413: "Too large",
    422: "The Idempotency-Key was used with another body",
    429: "Too many calls; Retry-After says when to come back",
    502: "The mail server does not answer, or refuses",
    507: "The disk is nearly full: nothing is accepted",
}


def register(app: APIFlask) -> None:
    app.title, app.version, app.description = "Mailferry", VERSION, _DESCRIPTION
    app.license = {"name": "MIT", "identifier": "MIT"}
    app.config["OPENAPI_VERSION"] = "3.1.0"
    app.config["AUTO_SERVERS"] = False
    app.tags = [{"name": tag} for tag in _TAGS]
    app.security_schemes = _SECURITY
    operations = {one.id: one for one in _operations(app)}

    @app.spec_processor
    def complete(spec: dict[str, Any] | str) -> dict[str, Any]:
        assert isinstance(spec, dict)
        schemas = spec.setdefault("components", {}).setdefault("schemas", {})
        schemas.clear()
        schemas["Error"] = says.ERROR
        for path, methods in spec["paths"].items():
            for described in methods.values():
                about = operations[described["operationId"]]
                described["parameters"] = _parameters(path, about, schemas)
                described["responses"] = _responses(path, about)
                if about.raw_content:
                    described["requestBody"] = _raw_body(about)
                if about.body is not None:
                    described["requestBody"] = _request_body(about, schemas)
                described["security"] = [{name: []} for name in _SECURITY] if about.scope else []
                described["security"] += [{}] if about.by_link else []
        return spec


def _operations(app: APIFlask) -> list[Operation]:
    return [view.operation for view in app.view_functions.values() if hasattr(view, "operation")]


def _parameters(path: str, about: Operation, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    in_path = [part.strip("{}") for part in path.split("/") if part.startswith("{")]
    found = [
        {"name": name, "in": "path", "required": True, "schema": _PATH_SCHEMAS.get(name, _ID)}
        for name in in_path
    ]
    if about.query is not None:
        properties = _schema(about.query, schemas)["properties"]
        found += [
            {"name": name, "in": "query", "schema": _without_null(one)} for name, one in properties.items()
        ]
    found += [{"name": name, "in": "header", "schema": schema} for name, schema in about.headers.items()]
    return found + _NAMING if about.scope else found


def _responses(path: str, about: Operation) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for status, (description, schema) in about.answers.items():
        answers[str(status)] = {"description": description}
        if schema is not None:
            answers[str(status)]["content"] = {about.content_type: {"schema": schema}}
    for status in sorted(_error_statuses(path, about)):
        content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
        answers[str(status)] = {"description": _ERRORS[status], "content": content}
    return answers


def _error_statuses(path: str, about: Operation) -> set[int]:
    found = {400, 405, 413, *about.errors}
    if about.scope is not None:
        found |= {401, 403, 429}
    if "{" in path:
        found.add(404)
    return found


def _request_body(about: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    assert about.body is not None
    schemas[about.body.__name__] = _schema(about.body, schemas)
    content: dict[str, Any] = {"schema": {"$ref": _REF.format(model=about.body.__name__)}}
    if about.example is not None:
        content["example"] = about.example
    by_type = {"application/json": content}
    if about.form is not None:
        example = dict.fromkeys(about.form["required"], "its bytes")
        by_type["multipart/form-data"] = {"schema": about.form, "example": example}
    return {"required": not about.body_optional, "content": by_type}


def _raw_body(about: Operation) -> dict[str, Any]:
    content = {"schema": {"type": "string"}, "example": about.example}
    return {"required": True, "content": {about.raw_content: content}}


def _schema(model: type[BaseModel], schemas: dict[str, Any]) -> dict[str, Any]:
    schema = model.model_json_schema(ref_template=_REF)
    schemas.update(schema.pop("$defs", {}))
    return schema


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A query parameter is absent, never null."""
    schema = {**schema}
    if schema.get("default", "") is None:
        del schema["default"]
    others = [one for one in schema.pop("anyOf", []) if one != {"type": "null"}]
    return schema | others[0] if others else schema
