"""From an SMTP config to what the transport needs."""

from __future__ import annotations

from models.smtp_config import SmtpConfig
from services.relay import Relay
from services.smtp import Endpoint, Reason, SmtpError, Stage
from utils.crypto import DecryptionError


def endpoint_of(relay: Relay, config: SmtpConfig) -> Endpoint:
    """Where and how to connect. Accounts of the service may be on private networks, a tenant's may not.

    The sandbox is that of this daemon, whatever port another one's has.

    SmtpError (auth) when the stored password cannot be read.
    """
    try:
        password = relay.vault.decrypt(config.password) if config.password else None
    except DecryptionError as exc:
        raise SmtpError(Stage.AUTH, Reason.AUTH, str(exc)) from None
    return Endpoint(
        host=config.smtp_host,
        port=(config.sandbox and relay.policy.sandbox_port) or config.smtp_port,
        tls="implicit" if config.use_ssl else "starttls" if config.use_tls else "none",
        verify_tls=config.verify_tls,
        username=config.username or None,
        password=password,
        allow_private=config.tenant == "" or relay.policy.allow_private_hosts,
        helo=relay.policy.helo,
    )
