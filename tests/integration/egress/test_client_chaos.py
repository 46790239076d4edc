"""The delivery client under chaos: whatever the order of things, every callback comes once and nothing leaks.

The steps of a round come from its seed; how they meet the loop's own events does not, so a failing seed may need a few
runs to fail again. `make_transport` checks afterwards that no connection, place, host or deadline is left.
"""

from __future__ import annotations

import asyncio
import random
import ssl

import pytest
import trustme

from hookline.egress import HttpTransport, Reason, Request, TlsOptions
from integration.egress.conftest import Make
from integration.egress.receivers import Receiver, run_receiver

CALLS = dict[int, int]


async def make_trouble(rng: random.Random, transport: HttpTransport, urls: list[str], tls: TlsOptions | None) -> CALLS:
    """Start, cancel and abort at random; give back how often each callback came."""
    calls: CALLS = {}
    handles = []
    for _ in range(rng.randint(5, 40)):
        for _ in range(rng.randint(0, 3)):
            number = len(handles)
            calls[number] = 0

            def count(_: object, number: int = number) -> None:
                calls[number] += 1

            request = Request("POST", rng.choice(urls), [], b"{}", rng.choice([0.0, 0.01, 5.0]), tls)
            handles.append(transport.start(request, count))
        for _ in range(rng.randint(0, 4)):
            await asyncio.sleep(rng.choice([0, 0, 0, 0.001]))
        for handle in rng.sample(handles, min(len(handles), rng.randint(0, 3))):
            handle.cancel()
        if rng.random() < 0.02:
            transport.abort_all(Reason.LEASE_LOST)
    return calls


def choose_settings(rng: random.Random) -> dict[str, float]:
    """Limits so tight that queues, evictions and new look-ups happen all the time."""
    return {
        "max_connections_per_host": rng.randint(1, 3),
        "max_connections": rng.randint(2, 5),
        "max_idle_connections": rng.randint(1, 3),
        "max_vetted_age_s": rng.choice([0, 60]),
    }


async def run_round(
    rng: random.Random, make_transport: Make, receivers: list[Receiver], tls: TlsOptions | None
) -> None:
    transport = make_transport(**choose_settings(rng))
    receivers[0].close_after_answer = rng.random() < 0.3
    urls = [receiver.url(scheme="https" if tls else "http") for receiver in receivers]
    calls = await make_trouble(rng, transport, urls, tls)
    if rng.random() < 0.5:
        # Half of the rounds end by themselves, the others are cut by closing.
        async with asyncio.timeout(20):
            while not all(calls.values()):
                await asyncio.sleep(0.001)
    async with asyncio.timeout(20):
        await transport.close()
    await asyncio.sleep(0)
    assert set(calls.values()) <= {1}


@pytest.mark.parametrize("block", range(5))
async def test_plain(make_transport: Make, block: int) -> None:
    async with run_receiver() as one, run_receiver() as two:
        for seed in range(block * 10, block * 10 + 10):
            await run_round(random.Random(seed), make_transport, [one, two], None)


async def test_tls(make_transport: Make) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    tls = TlsOptions(ca_pem=authority.cert_pem.bytes().decode())
    async with run_receiver(context) as one, run_receiver(context) as two:
        for seed in range(5):
            await run_round(random.Random(seed), make_transport, [one, two], tls)
