"""The delivery client against aiohttp, on answers that are well-formed: status, headers and body must be the same."""

from __future__ import annotations

import asyncio
import random

import aiohttp
import pytest

from hookline.egress import Response
from integration.egress.conftest import Make
from integration.egress.receivers import post
from integration.egress.zoo import read_request, serve_act


def chunked(rng: random.Random, body: bytes) -> bytes:
    """Cut a body into chunks of random sizes, with extensions now and then."""
    out, rest = b"", body
    while rest:
        size = rng.randint(1, max(1, len(rest)))
        extension = rng.choice([b"", b"", b";a=b", b';name="v"'])
        out += b"%x%b\r\n%b\r\n" % (size, extension, rest[:size])
        rest = rest[size:]
    return out + b"0\r\n" + rng.choice([b"", b"X-Trailer: t\r\n"]) + b"\r\n"


def make_answer(seed: int) -> bytes:
    """A random valid answer."""
    rng = random.Random(seed)
    status = rng.choice([200, 200, 201, 202, 204, 301, 304, 400, 404, 410, 429, 500, 503])
    names = ["X-A", "x-b", "Retry-After", "Content-Type", "Server", "X-Long"]
    lines = [f"{name}: {'v' * rng.randint(1, 40)}" for name in rng.sample(names, rng.randint(0, len(names)))]
    if rng.random() < 0.3:
        lines += ["X-Twice: one", "x-twice: two"]
    body = rng.randbytes(rng.choice([0, 1, 100, 4096, 16_000]))
    framing = rng.choice(["length", "chunked", "end"])
    wire = body
    if status in {204, 304}:
        wire = b""
    elif framing == "length":
        lines.append(f"Content-Length: {len(body)}")
    elif framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
        wire = chunked(rng, body)
    else:
        lines.append("Connection: close")
    rng.shuffle(lines)
    interim = rng.choice(
        [b"", b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"]
    )
    reason = rng.choice([" Fine", " Not Quite", " "])
    head = "\r\n".join([f"HTTP/1.1 {status}{reason}", *lines, "", ""]).encode()
    return interim + head + wire


@pytest.mark.parametrize("block", range(10))
async def test_same_as_aiohttp(make_transport: Make, block: int) -> None:
    answers: dict[str, bytes] = {f"/{n}": make_answer(n) for n in range(block * 20, block * 20 + 20)}

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        rng = random.Random(block)
        while True:
            path, _ = await read_request(reader)
            rest = answers[path]
            # In pieces, so that every state of the parser meets the end of a read.
            while rest:
                size = rng.randint(1, len(rest))
                writer.write(rest[:size])
                await writer.drain()
                await asyncio.sleep(0)
                rest = rest[size:]
            if b"Connection: close" in answers[path]:
                return

    async with serve_act(act) as port, aiohttp.ClientSession(auto_decompress=False) as session:
        transport = make_transport()
        for path in answers:
            url = f"http://127.0.0.1:{port}{path}"
            outcome = await transport.send(post(url))
            async with session.post(url, data=b"{}", allow_redirects=False) as oracle:
                body = await oracle.read()
                joined: dict[str, str] = {}
                for name, value in oracle.headers.items():
                    key = name.lower()
                    joined[key] = f"{joined[key]}, {value}" if key in joined else value
            assert isinstance(outcome, Response), (path, outcome)
            assert (outcome.status, outcome.body, dict(outcome.headers)) == (oracle.status, body, joined), path
        await transport.close()
