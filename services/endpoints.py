"""From an SMTP config to what the transport needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from models.account import Account
from models.smtp_config import SmtpConfig
from services import credentials
from services.oauth import TokenError
from services.relay import Relay
from services.smtp import Connection, Endpoint, Reason, SmtpError, Stage
from utils.crypto import DecryptionError

Connect = Callable[[Endpoint], Connection]


def logged_in(relay: Relay, config: SmtpConfig, connect: Connect) -> Connection:
    """What `connect` makes of the config's endpoint. A token that the server no longer takes, though its time is not
    over, is renewed, and tried once more: only a second refusal is one. SmtpError."""
    endpoint = endpoint_of(relay, config)
    try:
        return connect(endpoint)
    except SmtpError as error:
        if error.reason is not Reason.AUTH or endpoint.token is None:
            raise
        token = _token_after(relay, config, endpoint.token)
        if token is None:
            raise
    return connect(replace(endpoint, token=token))


def endpoint_of(relay: Relay, config: SmtpConfig, password: str | None = None) -> Endpoint:
    """Where and how to connect. Accounts of the service may be on private networks, a tenant's may not.

    The sandbox is that of this daemon, whatever port another one's has. `password`: in place of what is stored.

    SmtpError (auth) when the stored password cannot be read; when no access token can be had, with the reason for that.
    """
    by_token = config.by_token and password is None
    return Endpoint(
        host=config.smtp_host,
        port=(config.sandbox and relay.policy.sandbox_port) or config.smtp_port,
        tls="implicit" if config.use_ssl else "starttls" if config.use_tls else "none",
        verify_tls=config.verify_tls,
        username=config.username or None,
        password=None if by_token else password or _password(relay, config),
        allow_private=config.tenant == "" or relay.policy.allow_private_hosts,
        helo=relay.policy.helo,
        token=_token(relay, config) if by_token else None,
    )


def _password(relay: Relay, config: SmtpConfig) -> str | None:
    try:
        return relay.vault.decrypt(config.password) if config.password else None
    except DecryptionError as exc:
        raise SmtpError(Stage.AUTH, Reason.AUTH, str(exc)) from None


def _token(relay: Relay, config: SmtpConfig, but: str | None = None) -> str:
    """Its account's. One that is deleted still sends what was accepted before."""
    account = Account.get_or_none(Account.id == config.account_id)
    try:
        secret = credentials.secret_of(relay, account, but=but) if account else None
    except DecryptionError as exc:
        raise SmtpError(Stage.AUTH, Reason.AUTH, str(exc)) from None
    except TokenError as exc:
        raise SmtpError(Stage.AUTH, exc.reason, f"no access token: {exc}") from exc
    if secret is None or secret.kind != "oauth2":
        raise SmtpError(Stage.AUTH, Reason.AUTH, "no access token is stored for its account")
    return secret.value


def _token_after(relay: Relay, config: SmtpConfig, refused: str) -> str | None:
    """None where there is no other."""
    try:
        return _token(relay, config, refused)
    except SmtpError as error:
        if error.reason is Reason.AUTH:
            return None
        raise
