"""A small OpenAI-compatible server on a real port, and ways in which it fails."""

from __future__ import annotations

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

PATIENCE_S = 20


class ModelServer:
    """It answers every text with that text in upper case. `script` holds what to do first, one entry each request:
    a status, a pair (status, headers), `garbage`, `not_http`, `cut`, or `wait` (until `go_on` is set).
    """

    def __init__(self, *, has_responses: bool = True, always: Any = None) -> None:
        self.script: list[Any] = []
        self.always = always
        self.has_responses = has_responses
        self.asked: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        self.counts = Counter[str]()
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.pieces = 3
        self.pause_s = 0.0  # before each answer, unless `go_on` is set
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.say(200, {"object": "list", "data": [{"id": "small", "object": "model"}], "path": self.path})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.asked.append((self.path, body, {name.lower(): value for name, value in self.headers.items()}))
                outer.counts[json.dumps(body.get("input") or body.get("messages"))] += 1
                outer.begun.release()
                step = outer.script.pop(0) if outer.script else outer.always
                if outer.pause_s:
                    outer.go_on.wait(outer.pause_s)
                if step == "wait":
                    outer.go_on.wait(PATIENCE_S)
                elif step is not None:
                    self.fail(step)
                    return
                if self.path == "/v1/responses" and outer.has_responses:
                    self.respond(body)
                elif self.path == "/v1/chat/completions":
                    self.complete(body)
                elif self.path == "/v1/embeddings":
                    self.say(200, {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}]})
                else:
                    self.say(404, {"error": {"message": "no such path"}})

            def fail(self, step: Any) -> None:
                if step == "garbage":
                    self.say(200, ["this is", "no response"])
                elif step == "not_http":
                    self.wfile.write(b"\x00\x01 what is this?\r\n\r\n")
                    self.close_connection = True
                elif step == "cut":
                    self.wfile.write(b'HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{"half')
                    self.close_connection = True
                else:
                    status, headers = step if isinstance(step, tuple) else (step, {})
                    self.say(status, {"error": {"message": f"scripted {status}"}}, headers)

            def respond(self, body: dict[str, Any]) -> None:
                given = body["input"] if isinstance(body["input"], str) else body["input"][-1]["content"]
                part = {"type": "output_text", "text": given.upper(), "annotations": []}
                message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
                whole = {
                    "id": "resp_of_backend",
                    "object": "response",
                    "status": "completed",
                    "model": body["model"],
                    "output": [{**message, "content": [part]}],
                    "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
                }
                if body.get("stream"):
                    self.stream([{"type": "response.completed", "response": whole, "sequence_number": 0}])
                else:
                    self.say(200, whole)

            def complete(self, body: dict[str, Any]) -> None:
                text = body["messages"][-1]["content"].upper()
                if body.get("stream"):
                    delta = {"index": 0, "delta": {"content": text}, "finish_reason": None}
                    chunk = {"id": "c", "object": "chat.completion.chunk", "model": body["model"], "choices": [delta]}
                    self.stream([chunk] * outer.pieces)
                    return
                end = "length" if body.get("max_tokens") == 1 else "stop"
                choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": end}
                usage = {"prompt_tokens": 4, "completion_tokens": 5, "total_tokens": 9}
                members = {"id": "c", "object": "chat.completion", "model": body["model"]}
                self.say(200, {**members, "choices": [choice], "usage": usage})

            def stream(self, events: list[dict[str, Any]]) -> None:
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                for event in [*map(json.dumps, events), "[DONE]"]:
                    text = f"data: {event}\n\n".encode()
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(text), text))
                self.wfile.write(b"0\r\n\r\n")

            def say(self, status: int, answer: Any, headers: dict[str, str] | None = None) -> None:
                text = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(text)))
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)

            def handle(self) -> None:
                try:
                    super().handle()
                except OSError:
                    self.close_connection = True  # who asked went away

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def await_request(self) -> None:
        """Wait until one more request has come."""
        assert self.begun.acquire(timeout=PATIENCE_S)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(PATIENCE_S)
