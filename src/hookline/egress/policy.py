"""What the outbound side may do: networks, ports, sizes, times. Set by the operator, frozen, shared by all requests."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from hookline.errors import HooklineError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Ports where something other than a web server listens. A POST to one of them is at best noise and at worst a command:
# line-based protocols skip what they do not understand and execute the rest.
DENIED_PORTS: Final = frozenset(
    {
        *(1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104),
        *(109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 138, 139, 143, 161, 179, 389, 427, 445, 465, 512, 513),
        *(514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 631, 636, 873, 989, 990, 993, 995, 1433),
        *(1521, 1719, 1720, 1723, 2049, 2181, 2375, 2376, 2379, 2380, 3306, 3389, 3659, 4045, 4222, 4369, 5060, 5061),
        *(5432, 5672, 5900, 5985, 5986, 6000, 6379, 6443, 6514, 6566, 6665, 6666, 6667, 6668, 6669, 6697, 9042, 9092),
        *(9300, 10080, 10250, 10255, 11211, 27017, 27018, 27019),
    }
)


class EgressSettingsError(HooklineError):
    """A setting of the outbound side is not usable."""

    code = "egress_settings"


@dataclass(frozen=True, slots=True)
class Limits:
    """Byte and count caps of one response."""

    max_head_bytes: int = 16 * 1024
    """Status line and headers, interim answers included."""
    max_header_fields: int = 100
    max_informational: int = 5
    max_body_bytes: int = 64 * 1024
    """Reading stops here and the connection is closed."""
    max_framing_bytes: int = 256 * 1024
    """What chunk sizes, chunk extensions and trailers may add to the body on the wire."""
    max_excerpt_bytes: int = 16 * 1024
    """What is kept of the body."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A CONNECT proxy that all deliveries go through. `credentials` is `user:password` and never shown."""

    host: str
    port: int
    credentials: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> Proxy:
        """Read `http://[user:password@]host:port`.

        Raises:
            EgressSettingsError: the text is anything else.
        """
        scheme, separator, rest = url.strip().partition("://")
        userinfo, _, authority = rest.rstrip("/").rpartition("@")
        host, _, port = authority.rpartition(":")
        usable = separator and scheme.lower() == "http" and host and port.isascii() and port.isdigit()
        if not usable or not 0 < int(port) < 65536:
            raise EgressSettingsError("The egress proxy must be written as http://host:port. Correct the setting.")
        return cls(host.strip("[]"), int(port), unquote(userinfo) if userinfo else None)

    def authorization(self) -> str | None:
        """The value of Proxy-Authorization, or None without credentials."""
        if self.credentials is None:
            return None
        return "Basic " + base64.b64encode(self.credentials.encode()).decode("ascii")


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """The operator's rules for outbound requests.

    `allow` opens networks that the address table closes, and permits plain HTTP to them. `deny` closes more (the
    server's own public address, say) and beats `allow`. Neither switches off pinning to the vetted address.
    """

    allow: tuple[Network, ...] = ()
    deny: tuple[Network, ...] = ()
    allow_http: bool = False
    denied_ports: frozenset[int] = DENIED_PORTS
    denied_hosts: frozenset[str] = frozenset()
    """Host names refused beside the metadata services' (the server's own names: a delivery to oneself loops)."""
    limits: Limits = field(default_factory=Limits)
    dns_timeout_s: float = 5.0
    connect_timeout_s: float = 5.0
    tls_timeout_s: float = 5.0
    max_connections: int = 2_000
    max_connections_per_host: int = 64
    max_idle_connections: int = 1_000
    max_idle_s: float = 90.0
    max_vetted_age_s: float = 60.0
    """A pooled connection older than this is used again only after its host was resolved and vetted anew."""
    extra_ca_pem: str | None = None
    """Certificate authorities to trust beside the system's own, for every endpoint that names none of its own."""
    proxy: Proxy | None = None
    proxy_resolves: bool = True
    """With a proxy: it gets the host name and must filter by itself. False: it gets the address vetted here."""

    @classmethod
    def from_settings(
        cls, *, allow: str = "", deny: str = "", allow_http: bool = False, proxy_url: str | None = None
    ) -> EgressPolicy:
        """Build a policy from setting texts; `allow` and `deny` are CIDRs separated by commas or spaces.

        Raises:
            EgressSettingsError: a text cannot be read.
        """
        return cls(
            allow=parse_networks(allow),
            deny=parse_networks(deny),
            allow_http=allow_http,
            proxy=Proxy.parse(proxy_url) if proxy_url else None,
        )


def parse_networks(text: str | Iterable[str]) -> tuple[Network, ...]:
    """Read CIDRs such as `127.0.0.0/8,::1/128`; a bare address means that address alone.

    Raises:
        EgressSettingsError: an entry is no network, or has bits set behind its prefix.
    """
    entries = text.replace(",", " ").split() if isinstance(text, str) else list(text)
    try:
        return tuple(ipaddress.ip_network(entry, strict=True) for entry in entries)
    except ValueError as error:
        raise EgressSettingsError(
            f"{error}. Write networks as address/prefix, for example 10.1.0.0/16, separated by commas."
        ) from error
