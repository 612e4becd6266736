"""Requests about mail accounts and what logs in to them. Camel case, as all of the account side."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

from controllers.schemas.common import Offset, Query, Strict, whole
from controllers.schemas.smtp_configs import Host, Port, Quota
from services.oauth import PROVIDERS, Grant
from services.principal import NAME_PATTERN
from utils.clock import SECOND


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


Provider = Literal["gmail", "outlook", "icloud", "yahoo", "fastmail", "zoho"]
ProtocolName = Literal["imap", "pop3"]
Protocol = Annotated[ProtocolName, BeforeValidator(_lower)]
EncryptionName = Literal["tls", "starttls", "none"]
Encryption = Annotated[EncryptionName, BeforeValidator(_lower)]
SentCopy = Literal["auto", "always", "never"]
AccountName = Annotated[str, StringConstraints(min_length=1, max_length=255, strip_whitespace=True)]
EmailAddress = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]
Username = Annotated[str, StringConstraints(min_length=1, max_length=255)]
CredentialId = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Password = Annotated[
    str,
    StringConstraints(min_length=1, max_length=4_000),
    Field(description="write only; stored encrypted", json_schema_extra={"writeOnly": True}),
]
# RFC 6749, A.12 and A.17: what can be said to every server, be it mail or the web.
Token = Annotated[
    str,
    StringConstraints(min_length=1, max_length=16_000, pattern=r"^[\x21-\x7e]+$"),
    Field(json_schema_extra={"writeOnly": True}),
]
SyncInterval = Annotated[int, Field(ge=60, le=3_600, description="seconds")]

TEST_TIMEOUT = 30
# What is called otherwise in here than in the contract.
_OURS = {"account_name": "name"}
_SMTP = {"hostname": "smtp_host", "port": "smtp_port"}


class Camel(Strict):
    model_config = ConfigDict(alias_generator=to_camel)

    def given(self) -> dict[str, Any]:
        """The fields that were sent, by our names; null counts as not sent."""
        values = ((name, getattr(self, name)) for name in self.model_fields_set)
        return {name: value for name, value in values if value is not None}


class SmtpSettings(Camel):
    """Where the account sends. Without a login of its own it logs in as the account does."""

    hostname: Host | None = Field(None, description="needed without a provider")
    port: Port | None = Field(None, description="587, or 465 with encryption tls")
    encryption: Encryption | None = Field(None, description="starttls, or tls at port 465")
    verify_tls: bool | None = None
    username: Username | None = None
    password: Password | None = None
    display_name: Annotated[str, StringConstraints(max_length=255)] | None = Field(
        None, description="shown beside the address"
    )
    hourly_limit: Quota | None = Field(None, description="0: none")
    daily_limit: Quota | None = Field(None, description="0: none")

    def values(self) -> dict[str, Any]:
        """In the words of an SMTP config."""
        given = self.given()
        encryption = given.pop("encryption", None)
        if encryption is not None:
            given |= {"use_ssl": encryption == "tls", "use_tls": encryption == "starttls"}
        return {_SMTP.get(name, name): value for name, value in given.items()}


class _Settings(Camel):
    verify_tls: bool | None = None
    credential_id: CredentialId | None = Field(
        None, description="of a stored credential, or of one that is still to be stored"
    )
    password: Password | None = None
    is_sync_enabled: bool | None = None
    sync_interval: SyncInterval | None = None
    is_enabled: bool | None = None
    sent_copy: SentCopy | None = Field(
        None,
        description="whether sent mail is put into the Sent folder; auto: unless its SMTP server does so",
    )
    smtp: SmtpSettings | None = None

    def values(self) -> dict[str, Any]:
        """What was sent, in the service's words. `smtp` null is kept: it takes the SMTP settings away."""
        given = {_OURS.get(name, name): value for name, value in self.given().items()}
        if "smtp" in self.model_fields_set:
            given["smtp"] = None if self.smtp is None else self.smtp.values()
        return given


class NewAccountBody(_Settings):
    """A mail account. `provider` fills the servers and the username; what stands beside it wins."""

    provider: Provider | None = None
    account_name: AccountName
    email_address: EmailAddress
    protocol: Protocol = "imap"
    hostname: Host | None = Field(None, description="needed without a provider")
    port: Port | None = Field(None, description="needed without a provider")
    encryption: Encryption | None = Field(None, description="tls unless given")
    username: Username | None = Field(None, description="needed without a provider")

    @model_validator(mode="after")
    def _login(self) -> NewAccountBody:
        if self.credential_id is None and self.password is None:
            raise ValueError("credentialId or password is needed")
        return self

    def values(self) -> dict[str, Any]:
        return super().values() | {"protocol": self.protocol}


class AccountChangesBody(_Settings):
    """Only what is to change. A new hostname, port, encryption or username needs the credential again."""

    account_name: AccountName | None = None
    email_address: EmailAddress | None = Field(None, description="cannot be changed; ignored when equal")
    protocol: Protocol | None = Field(None, description="cannot be changed; ignored when equal")
    hostname: Host | None = None
    port: Port | None = None
    encryption: Encryption | None = None
    username: Username | None = None

    @model_validator(mode="after")
    def _something(self) -> AccountChangesBody:
        if not self.model_fields_set:
            raise ValueError("give at least one field to change")
        return self


class AccountTestBody(Camel):
    password: Password | None = Field(None, description="needed while none is stored")
    timeout: Annotated[int, Field(ge=1, le=60, description="seconds")] = TEST_TIMEOUT


class CredentialBody(Camel):
    """A password; or of OAuth 2 an access token, or a refresh token that brings one, or both."""

    password: Password | None = None
    access_token: Token | None = Field(
        None, description="write only; without a refreshToken, whoever stores it renews it"
    )
    expires_in: Annotated[int, Field(ge=1, le=315_360_000)] | None = Field(
        None, description="seconds until the accessToken ends"
    )
    refresh_token: Token | None = Field(None, description="write only; brings access tokens")
    client_id: Annotated[str, StringConstraints(min_length=1, max_length=1_000)] | None = Field(
        None, description="of the app that the refreshToken was given to"
    )
    client_secret: Password | None = Field(None, description="of that app, if it has one; write only")
    provider: Literal["gmail", "outlook"] | None = Field(None, description="whose tokenEndpoint to ask")
    token_endpoint: Annotated[str, StringConstraints(min_length=1, max_length=2_000)] | None = Field(
        None, description="an https address, in place of provider"
    )
    scope: Annotated[str, StringConstraints(min_length=1, max_length=2_000)] | None = Field(
        None, description="to ask for at a renewal; without it, what was granted first"
    )

    @model_validator(mode="after")
    def _one(self) -> CredentialBody:
        tokens = self.access_token is not None or self.refresh_token is not None
        if (self.password is None) != tokens:
            raise ValueError("give password, or accessToken, or refreshToken")
        if self.access_token is None and self.expires_in is not None:
            raise ValueError("expiresIn tells of an accessToken")
        wanted = {"client_id", "client_secret", "provider", "token_endpoint", "scope"} & self.given().keys()
        if self.refresh_token is None and wanted:
            raise ValueError(f"{', '.join(map(to_camel, sorted(wanted)))}: only with a refreshToken")
        if self.refresh_token is not None:
            if self.client_id is None:
                raise ValueError("clientId is needed with a refreshToken")
            if (self.provider is None) == (self.token_endpoint is None):
                raise ValueError("give provider or tokenEndpoint with a refreshToken")
        return self

    def grant(self, now: int) -> Grant:
        return Grant(
            access_token=self.access_token,
            expires_at=None if self.expires_in is None else now + self.expires_in * SECOND,
            refresh_token=self.refresh_token,
            client_id=self.client_id or "",
            client_secret=self.client_secret,
            token_url=PROVIDERS[self.provider] if self.provider else self.token_endpoint or "",
            scope=self.scope,
        )


class AccountsQuery(Query):
    limit: Annotated[int, Field(ge=1, le=1_000), BeforeValidator(whole)] = 100
    offset: Offset = 0
