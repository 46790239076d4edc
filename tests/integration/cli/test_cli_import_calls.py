"""Calls that fail for a while are made again, and create nothing twice."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from hookline.cli.client import ClientError
from hookline.cli.svix_import.calls import RETRIES, HttpApi, RefusedError, ask, list_pages
from support.server import PATIENCE_S


class Moody:
    """A server that gives these answers, one after the other; the last one for ever. `None` hangs up."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str], bytes] | None] = []
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        moody = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                moody.requests.append((self.command, self.path, dict(self.headers)))
                given = moody.answers.pop(0) if len(moody.answers) > 1 else moody.answers[0]
                if given is None:
                    self.close_connection = True
                    return
                status, headers, body = given
                self.send_response(status)
                for name, value in {**headers, "content-length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def moody() -> Iterator[Moody]:
    moody = Moody()
    thread = threading.Thread(target=moody.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield moody
    moody.server.shutdown()
    moody.server.server_close()
    thread.join(PATIENCE_S)


@pytest.fixture
def api(moody: Moody) -> Iterator[HttpApi]:
    api = HttpApi(moody.url, "token", 2, first_delay_s=0.001)
    yield api
    api.close()


def run(work: Any) -> Any:
    return asyncio.run(asyncio.wait_for(work, PATIENCE_S))


def test_what_may_pass_is_asked_again(moody: Moody, api: HttpApi) -> None:
    busy = (429, {"retry-after": "0"}, b"{}")
    moody.answers = [(503, {}, b"<html>"), None, busy, (201, {}, b'{"id": "app_1"}')]
    assert run(ask(api, "POST", "/app", {"name": "A"})) == {"id": "app_1"}
    assert [request[:2] for request in moody.requests] == [("POST", "/api/v1/app")] * 4
    assert len({headers["idempotency-key"] for _, _, headers in moody.requests}) == 1


def test_but_not_for_ever(moody: Moody, api: HttpApi) -> None:
    moody.answers = [(503, {}, b'{"code": "unavailable", "detail": "Come back later"}')]
    with pytest.raises(RefusedError, match="503: Come back later"):
        run(ask(api, "GET", "/app"))
    assert len(moody.requests) == RETRIES + 1
    moody.answers = [None]
    with pytest.raises(ClientError, match="Cannot reach"):
        run(ask(api, "GET", "/app"))


def test_a_refusal_is_one(moody: Moody, api: HttpApi) -> None:
    moody.answers = [(422, {}, b'{"detail": [{"loc": ["body", "url"], "msg": "No URL", "type": "url"}]}')]
    with pytest.raises(RefusedError, match=r"422: body\.url: No URL"):
        run(ask(api, "POST", "/app", {}))
    assert len(moody.requests) == 1


def test_a_list_that_leads_nowhere_ends(moody: Moody, api: HttpApi) -> None:
    moody.answers = [(200, {}, b'{"data": [], "iterator": "app_1", "done": false}')]

    async def read_all() -> None:
        async for _ in list_pages(api, "/app"):
            pass

    with pytest.raises(ClientError, match="says that it goes on"):
        run(read_all())
    assert len(moody.requests) == 2
