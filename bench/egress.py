"""What one POST costs: the delivery client beside aiohttp, against a minimal receiver in another process.

    python bench/egress.py [seconds per run] [requests in flight]

Prints requests per second and, which says more on a shared machine, requests per second of this process's own CPU.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
import time
from multiprocessing.connection import Connection

import aiohttp
import uvloop

from hookline.egress import EgressPolicy, HttpTransport, Outcome, Request, parse_networks

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
BODY = b"{" + b" " * 1022 + b"}"
HEADERS = [
    ("webhook-id", "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"),
    ("webhook-timestamp", "1674087231"),
    ("webhook-signature", "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="),
    ("User-Agent", "Hookline/0.1"),
    ("Content-Type", "application/json"),
    ("X-Custom", "value"),
]


class Sink(asyncio.Protocol):
    """Answers every request of exactly the size that is sent here, without reading it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.tail = b""

    def data_received(self, data: bytes) -> None:
        self.tail = (self.tail + data)[-len(BODY) - 4 :]
        if self.tail.endswith(b"}"):
            self.transport.write(ANSWER)  # type: ignore[attr-defined]


def run_sink(pipe: Connection) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(serve())


async def run_hookline(url: str, seconds: float, in_flight: int) -> int:
    policy = EgressPolicy(allow=parse_networks("127.0.0.0/8"), max_connections_per_host=in_flight)
    transport = HttpTransport(policy)
    done, open_requests = 0, in_flight
    end_s = time.monotonic() + seconds
    finished = asyncio.Event()
    request = Request("POST", url, HEADERS, BODY, 30.0)

    def on_done(outcome: Outcome) -> None:
        nonlocal done, open_requests
        assert outcome.__class__.__name__ == "Response", outcome
        done += 1
        if time.monotonic() < end_s:
            transport.start(Request("POST", url, HEADERS, BODY, 30.0), on_done)
        else:
            open_requests -= 1
            if not open_requests:
                finished.set()

    for _ in range(in_flight):
        transport.start(request, on_done)
    await finished.wait()
    await transport.close()
    return done


async def run_aiohttp(url: str, seconds: float, in_flight: int) -> int:
    done = 0
    end_s = time.monotonic() + seconds

    async def worker(session: aiohttp.ClientSession) -> None:
        nonlocal done
        while time.monotonic() < end_s:
            async with session.post(url, data=BODY, headers=dict(HEADERS), allow_redirects=False) as response:
                await response.read()
            done += 1

    connector = aiohttp.TCPConnector(limit=in_flight)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(30)) as session:
        await asyncio.gather(*(worker(session) for _ in range(in_flight)))
    return done


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    in_flight = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    sink = context.Process(target=run_sink, args=(sending,), daemon=True)
    sink.start()
    url = f"http://127.0.0.1:{receiving.recv()}/hook"
    print(f"POST of {len(BODY)} bytes, {len(HEADERS)} headers, {in_flight} in flight, {seconds:g} s a run, uvloop")
    print(f"{'client':10} {'req/s':>9} {'req/CPU-s':>10} {'us CPU/req':>11}")
    for _ in range(3):
        for name, run in (("hookline", run_hookline), ("aiohttp", run_aiohttp)):
            wall_s, cpu_s = time.monotonic(), time.process_time()
            done = uvloop.run(run(url, seconds, in_flight))
            wall_s, cpu_s = time.monotonic() - wall_s, time.process_time() - cpu_s
            print(f"{name:10} {done / wall_s:9,.0f} {done / cpu_s:10,.0f} {cpu_s / done * 1e6:11.1f}")
    sink.terminate()
    sink.join()


if __name__ == "__main__":
    main()
