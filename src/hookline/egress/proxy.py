"""Through an outbound proxy: HTTP CONNECT on a socket that is already connected to the proxy.

Plain-HTTP targets go through a tunnel too, so that the request a proxy sees is always ours and never the customer's.
"""

from __future__ import annotations

import asyncio
import re
import socket
from typing import Final

from hookline.egress.policy import Proxy
from hookline.egress.reasons import SENTENCES, Reason
from hookline.errors import HooklineError

_MAX_ANSWER_BYTES: Final = 8 * 1024
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})[ \r]")


class ProxyError(HooklineError):
    """The proxy did not open the tunnel."""

    code = Reason.PROXY.value


async def open_tunnel(sock: socket.socket, proxy: Proxy, authority: str) -> None:
    """Ask the proxy for a tunnel to `host:port`; afterwards the socket is one to that target.

    Raises:
        ProxyError: it refused, or answered something else.
        OSError: the connection broke.
    """
    loop = asyncio.get_running_loop()
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
    authorization = proxy.authorization()
    if authorization is not None:
        lines.append(f"Proxy-Authorization: {authorization}")
    await loop.sock_sendall(sock, "".join(f"{line}\r\n" for line in [*lines, ""]).encode("ascii"))
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = await loop.sock_recv(sock, 4096)
        answer += piece
        if not piece or len(answer) > _MAX_ANSWER_BYTES:
            raise ProxyError(SENTENCES[Reason.PROXY])
    status = _STATUS_LINE.match(answer)
    if status is None or status[1] != b"200":
        shown = f" It answered {status[1].decode()}." if status is not None else ""
        raise ProxyError(SENTENCES[Reason.PROXY] + shown)
    if answer.partition(b"\r\n\r\n")[2]:
        # Failure policy: closed. The target cannot have spoken yet, so these bytes are somebody else's.
        raise ProxyError(SENTENCES[Reason.PROXY])
