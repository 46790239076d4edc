"""The `Transport` protocol: one request out, one outcome back, exactly once. And its shapes.

The callback style (`start`) is for the engine, which sends thousands a second and must not pay for a task and a future
each; `send` is for everybody else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from hookline.egress.headers import parse_head
from hookline.egress.reasons import SENTENCES, Reason


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """What one endpoint needs beside the system's trust store. PEM texts; never shown."""

    ca_pem: str | None = field(default=None, repr=False)
    """Authorities trusted beside the usual ones."""
    client_cert_pem: str | None = field(default=None, repr=False)
    """Certificate and chain for mutual TLS."""
    client_key_pem: str | None = field(default=None, repr=False)
    owner: str = ""
    """Who shows the certificate. Connections are shared only where all of this is equal, so never between owners."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. `timeout_s` is absolute: look-up, connecting, sending and the whole answer lie inside it."""

    method: str
    url: str
    headers: Sequence[tuple[str, str]] = field(repr=False)
    body: bytes = field(repr=False)
    timeout_s: float
    tls: TlsOptions | None = None
    excerpt_bytes: int | None = None
    """How much of the answer's body is kept, when its reader needs more than the policy's excerpt."""


@dataclass(slots=True)
class Response:
    """A final status came back. `body` is an excerpt; `truncated` says that there was or may have been more."""

    status: int
    body: bytes = b""
    truncated: bool = False
    duration_ms: float = 0.0
    remote: str = ""
    """The address that was connected to; `proxy` if an outbound proxy stood between."""
    raw_head: bytes = field(default=b"", repr=False)
    bytes_received: int = 0
    _headers: Mapping[str, str] | None = field(default=None, repr=False)

    @property
    def headers(self) -> Mapping[str, str]:
        """Lower-case names; repeated fields joined by `, `. Read from the raw head when first asked for."""
        if self._headers is None:
            self._headers = parse_head(self.raw_head)
        return self._headers

    @classmethod
    def scripted(cls, status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Response:
        """Make one by hand, for an in-memory transport."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        return cls(status, body, raw_head=f"HTTP/1.1 {status} -\r\n{lines}\r\n".encode("latin-1"))


@dataclass(slots=True)
class Failure:
    """No usable answer. `detail` is a sentence for the customer and holds no address and no secret."""

    reason: Reason
    detail: str = ""
    duration_ms: float = 0.0
    bytes_received: int = 0

    def __post_init__(self) -> None:
        if not self.detail:
            self.detail = SENTENCES[self.reason]


Outcome = Response | Failure


class Handle(Protocol):
    """A request that was started."""

    def cancel(self) -> None:
        """Stop it; the callback still comes, once, with reason `canceled`. No effect on a finished one."""


class Transport(Protocol):
    """Sends requests. `on_done` is called exactly once for each, and never from inside `start` or `cancel`."""

    def start(self, request: Request, on_done: Callable[[Outcome], None]) -> Handle: ...

    async def send(self, request: Request) -> Outcome:
        """Start and wait. Being cancelled cancels the request."""
        ...

    def abort_all(self, reason: Reason) -> None:
        """Cut every request in flight at once; each ends with a `Failure` of this reason."""

    async def close(self) -> None:
        """Cut what is in flight (reason `canceled`), close every connection, refuse what is started later."""
