"""The table of addresses that deliveries never go to, and the addresses that hide inside other addresses.

Our own table, because the standard library's `is_private` and `is_global` change between patch releases, know nothing
of cloud metadata services, and pass several IPv6 forms that carry a private IPv4 address (RFC 4291, 6052, 3056, 4380,
5214). Sources: the IANA special-purpose registries for IPv4 and IPv6, and the cloud vendors' documentation.
"""

from __future__ import annotations

import socket
from typing import Final, NamedTuple


class Block(NamedTuple):
    """A network as two integers, and the rule it stands for."""

    network: int
    mask: int
    rule: str


def _block(cidr: str, rule: str) -> Block:
    address, _, prefix = cidr.partition("/")
    packed = pack(address)
    if packed is None:
        raise ValueError(cidr)
    bits = len(packed) * 8
    mask = ((1 << int(prefix)) - 1) << (bits - int(prefix))
    return Block(int.from_bytes(packed) & mask, mask, rule)


def pack(address: str) -> bytes | None:
    """The 4 or 16 bytes of a canonical textual address; None if it is not one (zone ids, octal forms, names)."""
    try:
        return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    except (OSError, ValueError):
        return None


def unpack(packed: bytes) -> str:
    """The canonical text of 4 or 16 address bytes."""
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


METADATA_V4: Final = frozenset(
    int.from_bytes(socket.inet_aton(address))
    for address in (
        "169.254.169.254",  # AWS, Azure, Google, DigitalOcean, Oracle, OpenStack
        "169.254.170.2",  # AWS task credentials
        "169.254.170.23",  # AWS pod identity
        "168.63.129.16",  # Azure's wire server
        "100.100.100.200",  # Alibaba
        "192.0.0.192",  # Oracle
        "169.254.0.23",  # Tencent
        "169.254.42.42",  # Scaleway
    )
)

METADATA_V6: Final = frozenset(
    int.from_bytes(socket.inet_pton(socket.AF_INET6, address))
    for address in (
        "fd00:ec2::254",  # AWS
        "fd00:ec2::23",  # AWS pod identity
        "fd20:ce::254",  # Google
        "fd00:42::42",  # Scaleway
        "fe80::a9fe:a9fe",  # OpenStack
    )
)

METADATA_HOSTS: Final = frozenset(
    {
        "metadata",
        "metadata.google.internal",
        "metadata.goog",
        "metadata.azure.com",
        "metadata.azure.internal",
        "metadata.platformequinix.com",
        "metadata.tencentyun.com",
        "instance-data",
        "instance-data.ec2.internal",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    }
)

DENIED_V4: Final = tuple(
    _block(cidr, rule)
    for cidr, rule in (
        ("0.0.0.0/8", "this_network"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "metadata"),
        ("169.254.0.0/16", "link_local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "special"),
        ("192.0.2.0/24", "documentation"),
        ("192.31.196.0/24", "special"),
        ("192.52.193.0/24", "special"),
        ("192.88.99.0/24", "special"),
        ("192.168.0.0/16", "private"),
        ("192.175.48.0/24", "special"),
        ("198.18.0.0/15", "benchmark"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)

GLOBAL_V6: Final = _block("2000::/3", "global")

# Holes inside 2000::/3 only: everything outside it is refused as a whole.
DENIED_V6: Final = tuple(
    _block(cidr, rule)
    for cidr, rule in (
        ("2001::/23", "special"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("2620:4f:8000::/48", "special"),
        ("3fff::/20", "documentation"),
    )
)

_LOW_32: Final = 0xFFFF_FFFF
_EMBEDDED_IN_LOW_32: Final = (
    _block("::ffff:0:0/96", "v4_mapped"),
    _block("::ffff:0:0:0/96", "v4_translated"),
    _block("64:ff9b::/96", "nat64"),
    _block("64:ff9b:1::/48", "nat64"),
    _block("::/96", "v4_compatible"),
)
_6TO4: Final = _block("2002::/16", "6to4")
_TEREDO: Final = _block("2001::/32", "teredo")
_ISATAP_INTERFACES: Final = (0x0000_5EFE, 0x0200_5EFE)


def unwrap(value: int) -> tuple[str, int] | None:
    """Find the IPv4 address that an IPv6 address carries: (kind of wrapper, IPv4 as integer), or None."""
    for network, mask, kind in _EMBEDDED_IN_LOW_32:
        if value & mask == network:
            return kind, value & _LOW_32
    if value & _6TO4.mask == _6TO4.network:
        return "6to4", value >> 80 & _LOW_32
    if value & _TEREDO.mask == _TEREDO.network:
        return "teredo", ~value & _LOW_32
    if value >> 32 & _LOW_32 in _ISATAP_INTERFACES:
        return "isatap", value & _LOW_32
    return None
