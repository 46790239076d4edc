"""The sink's books are what everything rests on, so they are tried before anything is measured."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from bench.errors import BenchError
from bench.sink import Sink, SinkStats

ANSWER_TIMEOUT_S = 10
BODY = b"{}" * 700


def check_sink() -> None:
    """Send it messages, repeats, a torn request and nonsense; its books must be exact.

    Raises:
        BenchError: they are not.
    """
    with Sink(3, silent=1) as sink:
        first, second, silent = (urlsplit(url).port or 0 for url in sink.urls)
        answers = _send(first, *(_make_request(number) for number in ("msg_1", "msg_2", "msg_1")))
        answers += _send(second, _make_request("msg_1"))
        answers += _send(first, *_tear(_make_request("msg_3")), answers=1)
        answers += _send(first, b"POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n")
        with socket.create_connection(("127.0.0.1", silent), ANSWER_TIMEOUT_S) as connection:
            connection.sendall(_make_request("msg_1"))
            stats = _await_requests(sink, 7)
        booked = [(arrival.webhook_id, arrival.port_index) for arrival in sink.read_arrivals()]
    expected = SinkStats(requests=7, arrivals=4, repeats=1, unanswered=1, bad=1)
    if stats != expected or booked != [("msg_1", 0), ("msg_2", 0), ("msg_1", 1), ("msg_3", 0)]:
        raise BenchError(f"The sink's books are wrong: {stats}, {booked}. No figure of this build can be trusted.")
    if answers != [b"200"] * 5 + [b"400"]:
        raise BenchError(f"The sink's answers are wrong: {answers}.")


def _make_request(webhook_id: str) -> bytes:
    head = f"POST /hook HTTP/1.1\r\nHost: x\r\nWebhook-Id: {webhook_id}\r\nContent-Length: {len(BODY)}\r\n\r\n"
    return head.encode() + BODY


def _tear(request: bytes) -> list[bytes]:
    """In three pieces: within the head, and within the body."""
    return [request[:20], request[20:200], request[200:]]


def _send(port: int, *pieces: bytes, answers: int | None = None) -> list[bytes]:
    """Send all over one connection; the status codes of the answers, one for each piece unless said otherwise."""
    wanted = len(pieces) if answers is None else answers
    with socket.create_connection(("127.0.0.1", port), ANSWER_TIMEOUT_S) as connection:
        for piece in pieces:
            connection.sendall(piece)
        text = b""
        while text.count(b"\r\n\r\n") < wanted and (part := connection.recv(4096)):
            text += part
    return [part[9:12] for part in text.split(b"\r\n\r\n")[:-1]]


def _await_requests(sink: Sink, count: int) -> SinkStats:
    """The sink reads in no promised order among connections: ask until it has read them all."""
    for _ in range(1000):
        stats = sink.read_stats()
        if stats.requests >= count:
            return stats
    raise BenchError(f"The sink lost requests: {stats}.")
