import socket

import pytest

from utils.net import is_private, resolve


@pytest.mark.parametrize(
    "ip",
    [
        "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1",
        "169.254.169.254", "100.64.0.1", "100.127.255.255", "224.0.0.1", "239.1.1.1", "240.0.0.1",
        "255.255.255.255", "192.0.2.1", "198.18.0.1", "198.51.100.7", "203.0.113.9", "192.0.0.8",
        "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "ff02::1", "2001:db8::1", "2001::1",
        "100::1", "fec0::1", "::127.0.0.1", "3fff::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "2002:a00:1::1", "64:ff9b::127.0.0.1",
        "64:ff9b::a00:1", "64:ff9b:1::1",
    ],
)  # fmt: skip
def test_it_knows_addresses_off_the_public_internet(ip):
    assert is_private(ip)


@pytest.mark.parametrize(
    "ip",
    [
        "8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1", "11.0.0.1",
        "9.255.255.255", "169.253.0.1", "192.167.0.1", "223.255.255.255", "198.17.255.255", "198.20.0.1",
        "2606:4700::1111", "2a00:1450:4001::5", "::ffff:8.8.8.8", "2002:808:808::1", "64:ff9b::8.8.8.8",
    ],
)  # fmt: skip
def test_it_lets_public_addresses_pass(ip):
    assert not is_private(ip)


def test_it_refuses_what_is_no_address():
    with pytest.raises(ValueError, match="does not appear to be"):
        is_private("mail.example.com")


def test_it_resolves_to_what_connect_takes():
    found = resolve("127.0.0.1", 2525)
    assert [(address.ip, address.port, address.family) for address in found] == [
        ("127.0.0.1", 2525, socket.AF_INET)
    ]
    assert resolve("::1", 25)[0].sockaddr[:2] == ("::1", 25)


def test_it_names_each_address_once():
    found = resolve("localhost", 25)
    assert found and len(found) == len(set(found))


@pytest.mark.parametrize(
    "host", ["", "a" * 70 + ".example", "no.such.host.invalid", "nul\0byte", "host..dots"]
)
def test_it_answers_oserror_for_what_cannot_be_resolved(host):
    with pytest.raises(OSError, match=r"not a host name|Name or service|name resolution|No address"):
        resolve(host, 25)
