"""Requests about SMTP configs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from controllers.schemas.common import Limit, Name, Offset, Query, Strict
from controllers.schemas.emails import AddressText

Domain = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Host = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Port = Annotated[int, Field(ge=1, le=65_535)]
Login = Annotated[str, StringConstraints(max_length=255)]
Quota = Annotated[int, Field(ge=0, le=1_000_000_000)]
Display = Annotated[str, StringConstraints(max_length=255)]
LimitUnit = Literal["messages", "recipients"]
Provider = Literal[
    "gmail",
    "outlook",
    "icloud",
    "yahoo",
    "ses",
    "sendgrid",
    "mailgun",
    "postmark",
    "fastmail",
    "zoho",
    "custom",
]


class _Settings(Strict):
    display_name: Display | None = None
    username: Login | None = Field(None, description="none: the server wants no login")
    password: Annotated[str, StringConstraints(max_length=4_000)] | None = Field(
        None, description="write only; stored encrypted", json_schema_extra={"writeOnly": True}
    )
    use_tls: bool | None = Field(None, description="STARTTLS")
    use_ssl: bool | None = Field(None, description="implicit TLS")
    verify_tls: bool | None = None
    active: bool | None = None
    daily_limit: Quota | None = Field(None, description="in any 24 hours; 0 or null: none")
    hourly_limit: Quota | None = Field(None, description="in any 60 minutes; 0 or null: none")
    limit_unit: LimitUnit | None = None
    max_connections: Annotated[int, Field(ge=1, le=200)] | None = None
    max_messages_per_connection: Annotated[int, Field(ge=1, le=100_000)] | None = None
    weight: (
        Annotated[int, Field(ge=0, le=1_000, description="share of unpinned mail; 0 takes none")] | None
    ) = None
    from_domains: Annotated[list[Domain], Field(max_length=200)] | None = None
    allow_any_sender: bool | None = None
    shared: bool | None = Field(None, description="of the service's own: tenants may send through it")

    verp: bool | None = Field(
        None, description="its mailbox takes mail for local+anything: bounces then come to a marked address"
    )

    def values(self) -> dict[str, object]:
        """What was given, in the service's words: null takes a limit, a login or a display name away."""
        given = self.model_dump(exclude_unset=True)
        empty = {"hourly_limit": 0, "daily_limit": 0, "display_name": "", "username": None, "password": None}
        values = {name: empty.get(name) if value is None else value for name, value in given.items()}
        return {name: value for name, value in values.items() if value is not None or name in empty}


class NewConfigBody(_Settings):
    """An SMTP account. `provider` fills host, port, TLS and usual limits; what stands beside it wins."""

    model_config = ConfigDict(title="NewSmtpConfigBody")

    provider: Provider | None = None
    name: Name
    email_address: AddressText
    smtp_host: Host | None = Field(None, description="needed without a provider that has one")
    smtp_port: Port | None = Field(None, description="587, or 465 with use_ssl")


class ConfigChangesBody(_Settings):
    """Only what is to change. A new host, port, TLS mode or username clears the password, unless one comes along."""

    model_config = ConfigDict(title="SmtpConfigChangesBody")

    name: Name | None = None
    email_address: AddressText | None = None
    smtp_host: Host | None = None
    smtp_port: Port | None = None

    @model_validator(mode="after")
    def _something(self) -> ConfigChangesBody:
        if not self.model_fields_set:
            raise ValueError("give at least one field to change")
        return self


class TestBody(Strict):
    __test__ = False  # no test case
    model_config = ConfigDict(title="SmtpConfigTestBody")

    send_to: AddressText | None = Field(
        None, description="also send a test email there; it counts against the limits"
    )


class PageQuery(Query):
    limit: Limit = 100
    offset: Offset = 0
