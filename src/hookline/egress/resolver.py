"""Names to addresses. Whoever asks must judge EVERY address that comes back; `dialer` does.

`SystemResolver` asks the operating system in threads of its own: a name server that hangs must not take the threads
that something else in the process waits for. Look-ups of one name in flight at the same time are one look-up, and an
answer is good for a few seconds, which keeps a busy endpoint from asking for every new connection.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

from hookline.egress.reasons import SENTENCES, Reason
from hookline.errors import HooklineError

MAX_ANSWERS: Final = 64
_MAX_CACHED_NAMES: Final = 8_192
_THREADS: Final = 16


class ResolveError(HooklineError):
    """A name has no usable answer."""

    code = Reason.DNS.value


class Resolver(Protocol):
    """Finds the addresses of a host name, in the order in which to try them."""

    async def resolve(self, host: str) -> Sequence[str]:
        """Give at least one textual address.

        Raises:
            ResolveError: no answer, none in time, or too many.
        """
        ...

    def close(self) -> None: ...


class SystemResolver:
    """The operating system's resolver, with a time limit, a cap on answers and a short memory."""

    def __init__(self, *, timeout_s: float = 5.0, cache_s: float = 5.0) -> None:
        self._timeout_s = timeout_s
        self._cache_s = cache_s
        self._answers: dict[str, tuple[float, Sequence[str]]] = {}
        self._in_flight: dict[str, asyncio.Future[Sequence[str]]] = {}
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="hookline-dns")

    async def resolve(self, host: str) -> Sequence[str]:
        known = self._answers.get(host)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        look_up = self._in_flight.get(host)
        if look_up is None:
            look_up = asyncio.get_running_loop().run_in_executor(self._threads, _ask_system, host)
            self._in_flight[host] = look_up
            look_up.add_done_callback(lambda done: self._remember(host, done))
        try:
            # Shielded: one asker's end must not be the end of the others' answer.
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.shield(look_up)
        except TimeoutError as error:
            raise ResolveError("The name servers did not answer in time. Check the host's DNS set-up.") from error

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _remember(self, host: str, look_up: asyncio.Future[Sequence[str]]) -> None:
        self._in_flight.pop(host, None)
        # Asking for the exception also marks it as seen when every asker has gone.
        if look_up.cancelled() or look_up.exception() is not None:
            return
        if len(self._answers) >= _MAX_CACHED_NAMES:
            self._answers.clear()
        self._answers[host] = (time.monotonic() + self._cache_s, look_up.result())


class StaticResolver:
    """Answers from a table. For tests, and for hosts pinned by hand. The table may be changed while in use."""

    def __init__(self, table: Mapping[str, Sequence[str]]) -> None:
        self.table = dict(table)
        self.asked: list[str] = []

    async def resolve(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        return check_answers(self.table.get(host, ()))

    def close(self) -> None:
        """Nothing to close."""


def check_answers(addresses: Sequence[str]) -> Sequence[str]:
    """Refuse an empty answer and an absurdly long one."""
    if not addresses:
        raise ResolveError(SENTENCES[Reason.DNS])
    if len(addresses) > MAX_ANSWERS:
        # Failure policy: closed. Judging only the first few would let the rest in by another order.
        raise ResolveError(f"The host name has more than {MAX_ANSWERS} addresses. Reduce its DNS records.")
    return addresses


def _ask_system(host: str) -> Sequence[str]:
    try:
        answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError) as error:
        raise ResolveError(SENTENCES[Reason.DNS]) from error
    return check_answers(list(dict.fromkeys(str(answer[4][0]) for answer in answers)))
