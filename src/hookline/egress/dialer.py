"""From a target to an open connection: look up, vet every address, connect to a vetted one, check, TLS.

The name is used for nothing after the look-up but SNI, certificate and Host header: what was vetted is what is
connected to, and the socket is asked afterwards whom it really reached. That leaves a name that changes its answer
between check and use (DNS rebinding) nothing to gain.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Sequence
from typing import Final

from hookline.egress.addresses import pack
from hookline.egress.connection import Connection, Owner
from hookline.egress.guard import guard_for
from hookline.egress.policy import EgressPolicy, Proxy
from hookline.egress.pool import Host
from hookline.egress.proxy import ProxyError, open_tunnel
from hookline.egress.reasons import SENTENCES, Reason
from hookline.egress.resolver import ResolveError, Resolver
from hookline.egress.tls import TlsContexts, TlsOptionsError, explain
from hookline.egress.url import Target
from hookline.errors import HooklineError

VIA_PROXY: Final = "proxy"
"""Stands for the address when an outbound proxy looks the name up."""
_MAX_ADDRESSES_TRIED: Final = 4
_OUT_OF_SOCKETS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})


class DialError(HooklineError):
    """No connection. `reason` is the code; the message is the customer's sentence."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(detail or SENTENCES[reason], code=reason.value)
        self.reason = reason


class Dialer:
    """Opens connections by one policy."""

    def __init__(self, policy: EgressPolicy, resolver: Resolver, owner: Owner) -> None:
        self._policy = policy
        self._guard = guard_for(policy)
        self._resolver = resolver
        self._owner = owner
        self._tls = TlsContexts(policy.extra_ca_pem)

    async def vet(self, target: Target) -> Sequence[str]:
        """Give the addresses of a target, all of which passed.

        Raises:
            DialError: `dns` or `blocked_address`, or `invalid_url` for plain HTTP to where only HTTPS may go.
        """
        if target.is_ip_literal:
            addresses: Sequence[str] = (target.host,)
        elif self._policy.proxy is not None and self._policy.proxy_resolves:
            # Failure policy: open. Here the proxy is the guard; the operator chose so by setting it.
            self._check_cleartext(target, listed=False)
            return (VIA_PROXY,)
        else:
            addresses = await self._look_up(target.host)
        verdicts = [self._guard.judge(address) for address in addresses]
        if not all(verdict.allowed for verdict in verdicts):
            # Failure policy: closed. One bad address refuses them all: choosing the good ones would let a name that
            # has both be tried until the order suits its owner.
            raise DialError(Reason.BLOCKED_ADDRESS)
        self._check_cleartext(target, listed=all(verdict.listed for verdict in verdicts))
        return addresses

    async def connect(self, host: Host, target: Target, addresses: Sequence[str]) -> Connection:
        """Connect to one of the vetted addresses, trying a few in turn.

        Raises:
            DialError: `connect`, `timeout_connect`, `tls`, `timeout_tls` or `proxy`.
        """
        context = await self._tls_context(host) if target.scheme == "https" else None
        proxy = self._policy.proxy
        if proxy is not None:
            remote = addresses[0]
            sock = await self._connect_through(proxy, target, remote)
        else:
            sock, remote = await self._connect_to_any(addresses[:_MAX_ADDRESSES_TRIED], target.port)
        return await self._set_up(
            sock, Connection(self._owner, host, remote, self._policy.limits), context, target.host
        )

    # -- looking up ----------------------------------------------------------------------------------------------------

    async def _look_up(self, name: str) -> Sequence[str]:
        try:
            async with asyncio.timeout(self._policy.dns_timeout_s):
                return await self._resolver.resolve(name)
        except ResolveError as error:
            raise DialError(Reason.DNS, str(error)) from error
        except TimeoutError as error:
            raise DialError(Reason.DNS) from error

    def _check_cleartext(self, target: Target, *, listed: bool) -> None:
        if target.scheme == "http" and not (listed or self._policy.allow_http):
            raise DialError(
                Reason.INVALID_URL,
                "The URL must begin with https://. Plain http is only for networks the operator allows.",
            )

    # -- connecting ----------------------------------------------------------------------------------------------------

    async def _connect_to_any(self, addresses: Sequence[str], port: int) -> tuple[socket.socket, str]:
        """Try the addresses in turn, each with its share of the time: one that swallows packets costs only that."""
        share_s = self._policy.connect_timeout_s / len(addresses)
        failure = DialError(Reason.CONNECT)
        for address in addresses:
            try:
                sock = await _connect(address, port, share_s)
            except DialError as error:
                failure = error
                continue
            self._check_peer(sock, address)
            return sock, address
        raise failure

    def _check_peer(self, sock: socket.socket, address: str) -> None:
        try:
            peer = str(sock.getpeername()[0])
        except OSError as error:
            sock.close()
            raise DialError(Reason.CONNECT) from error
        if pack(peer) != pack(address) or not self._guard.judge(peer).allowed:
            # Failure policy: closed. Something between us and the network (a NAT rule, a wrapper) led us elsewhere.
            sock.close()
            raise DialError(Reason.BLOCKED_ADDRESS)

    async def _connect_through(self, proxy: Proxy, target: Target, address: str) -> socket.socket:
        """Open a tunnel. The proxy's own address is the operator's choice and is not judged."""
        name = target.host if address == VIA_PROXY else address
        authority = f"[{name}]:{target.port}" if ":" in name else f"{name}:{target.port}"
        try:
            addresses = [proxy.host] if pack(proxy.host) else await self._look_up(proxy.host)
            sock = await _connect(addresses[0], proxy.port, self._policy.connect_timeout_s)
        except DialError as error:
            raise DialError(Reason.PROXY) from error
        try:
            async with asyncio.timeout(self._policy.connect_timeout_s):
                await open_tunnel(sock, proxy, authority)
        except (ProxyError, OSError) as error:
            sock.close()
            raise DialError(Reason.PROXY, str(error) if isinstance(error, ProxyError) else "") from error
        except asyncio.CancelledError:
            sock.close()
            raise
        return sock

    async def _tls_context(self, host: Host) -> ssl.SSLContext:
        try:
            return await self._tls.get(host.origin.tls)
        except TlsOptionsError as error:
            raise DialError(Reason.TLS, str(error)) from error

    async def _set_up(
        self, sock: socket.socket, connection: Connection, context: ssl.SSLContext | None, name: str
    ) -> Connection:
        """Put the protocol on the socket, with TLS in between if there is a context."""
        loop = asyncio.get_running_loop()
        try:
            if context is None:
                await loop.create_connection(lambda: connection, sock=sock)
                return connection
            # The limit that counts is ours; the loop's own comes a little later and only tidies up.
            async with asyncio.timeout(self._policy.tls_timeout_s):
                await loop.create_connection(
                    lambda: connection,
                    sock=sock,
                    ssl=context,
                    server_hostname=name,
                    ssl_handshake_timeout=self._policy.tls_timeout_s + 1,
                )
        except ssl.SSLError as error:
            raise DialError(Reason.TLS, explain(error)) from error
        except TimeoutError as error:
            raise DialError(Reason.TIMEOUT_TLS) from error
        except OSError as error:
            raise DialError(Reason.TLS if context is not None else Reason.CONNECT) from error
        return connection


async def _connect(address: str, port: int, timeout_s: float) -> socket.socket:
    """Connect a socket to exactly this address."""
    is_v6 = ":" in address
    try:
        sock = socket.socket(socket.AF_INET6 if is_v6 else socket.AF_INET, socket.SOCK_STREAM)
    except OSError as error:
        raise DialError(Reason.CONNECT, _describe(error)) from error
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        async with asyncio.timeout(timeout_s):
            await asyncio.get_running_loop().sock_connect(sock, (address, port, 0, 0) if is_v6 else (address, port))
    except TimeoutError as error:
        sock.close()
        raise DialError(Reason.TIMEOUT_CONNECT) from error
    except OSError as error:
        sock.close()
        raise DialError(Reason.CONNECT, _describe(error)) from error
    except asyncio.CancelledError:
        sock.close()
        raise
    return sock


def _describe(error: OSError) -> str:
    if error.errno == errno.ECONNREFUSED:
        return "The server refused the connection. Check that it is up and listens on this port."
    if error.errno in _OUT_OF_SOCKETS:
        return "This server has no free sockets. Its operator must raise the limit on open files."
    return SENTENCES[Reason.CONNECT]
