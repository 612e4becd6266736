"""Names to socket addresses, and which addresses are not on the public Internet."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple

# IANA special-purpose registries. An explicit list, since ipaddress.is_private changed its mind between
# Python releases and leaves out CGNAT and multicast.
_NOT_PUBLIC_4 = tuple(
    IPv4Network(net)
    for net in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
# IANA hands out global unicast from 2000::/3 only, so all else is private but for the two that embed IPv4.
_GLOBAL_6 = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(IPv6Network(net) for net in ("2001::/23", "2001:db8::/32", "3fff::/20"))
_NAT64 = IPv6Network("64:ff9b::/96")


class Address(NamedTuple):
    """What socket(family) and connect(sockaddr) need."""

    family: socket.AddressFamily
    sockaddr: tuple[str | int | bytes, ...]

    @property
    def ip(self) -> str:
        return str(self.sockaddr[0])

    @property
    def port(self) -> int:
        return int(self.sockaddr[1])


def resolve(host: str, port: int) -> list[Address]:
    """The host's addresses for TCP, in the system's order of preference. OSError when it has none.

    The resolver's own time-outs bound it; it takes no deadline of ours.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except ValueError as error:  # a label over 63 letters, a NUL
        raise OSError(f"not a host name: {error}") from error
    unique: dict[Address, None] = {}
    for family, _, _, _, sockaddr in found:
        if family in (socket.AF_INET, socket.AF_INET6):
            unique[Address(family, (str(sockaddr[0]), port, *sockaddr[2:]))] = None
    if not unique:
        raise OSError("it has no IP address")
    return list(unique)


def is_private(ip: str) -> bool:
    """True for every address that a stranger must not aim us at: loopback, link-local, private, CGNAT,
    multicast, reserved, unspecified, documentation, and IPv6 forms that carry such an IPv4 address.

    ValueError when `ip` is no IP address.
    """
    address = ip_address(ip)
    if isinstance(address, IPv6Address):
        carried = _carried_ipv4(address)
        if carried is None:
            return address not in _GLOBAL_6 or any(address in net for net in _NOT_PUBLIC_6)
        address = carried
    return any(address in net for net in _NOT_PUBLIC_4)


def _carried_ipv4(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 host that a mapped, 6to4 or NAT64 address really reaches."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour
