"""TLS towards mail servers."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from functools import lru_cache

from cryptography import x509

from utils.clock import to_ms

from .endpoint import Target


@dataclass(frozen=True, slots=True)
class TlsInfo:
    """`not_after` in ms since the epoch. The certificate is described whether or not it was verified."""

    version: str
    cipher: str
    subject: str
    issuer: str
    not_after: int


def context_for(endpoint: Target) -> ssl.SSLContext:
    return _context(endpoint.verify_tls, endpoint.ca_file)


def server_name(endpoint: Target) -> str:
    """The name for SNI and for the certificate, which never has the root's dot."""
    return endpoint.host.removesuffix(".")


@lru_cache(maxsize=32)  # reading the system's authorities takes longer than the handshake
def _context(verify: bool, ca_file: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def describe(sock: ssl.SSLSocket) -> TlsInfo:
    certificate = x509.load_der_x509_certificate(sock.getpeercert(binary_form=True) or b"")
    cipher = sock.cipher()
    return TlsInfo(
        version=sock.version() or "",
        cipher=cipher[0] if cipher else "",
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        not_after=to_ms(certificate.not_valid_after_utc),
    )


def explain(error: ssl.SSLError) -> str:
    """What went wrong, for people."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"bad certificate: {error.verify_message}"
    if error.reason == "WRONG_VERSION_NUMBER":
        return "the server did not answer in TLS; does this port want starttls or none?"
    return f"TLS failed: {error.reason or error}"
