"""The resolvers: coalescing, caching, limits."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest

from hookline.egress import ResolveError, StaticResolver, SystemResolver


class Names:
    """Stands in for the operating system's look-up; counts, and can be held up."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.addresses = ["192.0.2.1", "192.0.2.1", "2001:db8::1"]

    def __call__(self, host: str, *_: Any, **__: Any) -> list[Any]:
        self.asked.append(host)
        self.gate.wait()
        if not self.addresses:
            raise socket.gaierror(-2, "internal detail")
        return [(0, 0, 0, "", (address, 0)) for address in self.addresses]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names)
    return names


async def test_one_look_up_for_all_who_ask_at_once(names: Names) -> None:
    resolver = SystemResolver()
    names.gate.clear()
    tasks = [asyncio.create_task(resolver.resolve("a.example")) for _ in range(5)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    names.gate.set()
    answers = await asyncio.gather(*tasks[1:])
    assert answers == [["192.0.2.1", "2001:db8::1"]] * 4
    assert await resolver.resolve("a.example") == answers[0]
    assert names.asked == ["a.example"]
    resolver.close()


async def test_answers_are_soon_forgotten_and_failures_at_once(names: Names) -> None:
    resolver = SystemResolver(cache_s=0.0)
    await resolver.resolve("a.example")
    await resolver.resolve("a.example")
    assert names.asked == ["a.example"] * 2
    names.addresses = []
    with pytest.raises(ResolveError) as error:
        await resolver.resolve("b.example")
    assert "internal detail" not in str(error.value)
    names.addresses = ["192.0.2.2"]
    assert await resolver.resolve("b.example") == ["192.0.2.2"]
    resolver.close()


async def test_time_limit(names: Names) -> None:
    resolver = SystemResolver(timeout_s=0.05)
    names.gate.clear()
    with pytest.raises(ResolveError):
        await resolver.resolve("slow.example")
    names.gate.set()
    resolver.close()


async def test_too_many_answers_are_no_answer(names: Names) -> None:
    names.addresses = [f"192.0.2.{n}" for n in range(65)]
    resolver = SystemResolver()
    with pytest.raises(ResolveError):
        await resolver.resolve("many.example")
    resolver.close()


async def test_static_table() -> None:
    resolver = StaticResolver({"a.example": ["192.0.2.1"]})
    assert await resolver.resolve("a.example") == ["192.0.2.1"]
    with pytest.raises(ResolveError):
        await resolver.resolve("b.example")
    assert resolver.asked == ["a.example", "b.example"]
