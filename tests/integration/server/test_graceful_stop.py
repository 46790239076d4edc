"""Told to stop, a server finishes what it has begun, and the next one goes on with the rest."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from pathlib import Path
from typing import Any

from hookline.server.run import build_server
from hookline.server.runtime import Runtime
from support.server import Receiver, RunningServer, Tenant, settings_for
from support.wire import Wire, request


def test_what_is_in_flight_ends_before_the_server_does(tmp_path: Path, receiver: Receiver) -> None:
    receiver.answers.clear()
    with RunningServer(settings_for(tmp_path, shutdown_grace_s=15.0)) as server:
        tenant = Tenant(server)
        app_id = tenant.http.post("/app", json={"name": "App"}).json()["id"]
        tenant.http.post(f"/app/{app_id}/endpoint", json={"url": f"{receiver.url}/200/x"})
        msg_id = tenant.http.post(f"/app/{app_id}/msg", json={"eventType": "a.b", "payload": {}}).json()["id"]
        receiver.next()
        tenant.close()
        server.begin_stop()
        server.wait_until_refused()
        receiver.answers.set()
    attempts = attempts_after_restart(tmp_path, tenant, app_id, msg_id)
    assert [attempt["statusText"] for attempt in attempts] == ["success"]
    assert receiver.arrived.empty()


def test_what_does_not_end_in_time_goes_on_after_the_restart(tmp_path: Path, receiver: Receiver) -> None:
    receiver.answers.clear()
    with RunningServer(settings_for(tmp_path, shutdown_grace_s=0.2)) as server:
        tenant = Tenant(server)
        app_id = tenant.http.post("/app", json={"name": "App"}).json()["id"]
        tenant.http.post(f"/app/{app_id}/endpoint", json={"url": f"{receiver.url}/200/x"})
        msg_id = tenant.http.post(f"/app/{app_id}/msg", json={"eventType": "a.b", "payload": {}}).json()["id"]
        first = receiver.next()
        tenant.close()
    receiver.answers.set()
    attempts = attempts_after_restart(tmp_path, tenant, app_id, msg_id)
    assert attempts[0]["statusText"] == "success"
    assert receiver.next().headers["webhook-id"] == first.headers["webhook-id"] == msg_id


def attempts_after_restart(directory: Path, before: Tenant, app_id: str, msg_id: str) -> list[dict[str, Any]]:
    """The attempts of a message as the next server on this database shows them, once it was delivered."""
    with RunningServer(settings_for(directory)) as server:
        tenant = Tenant(server)
        client = tenant.http_with(before.token)
        found: list[dict[str, Any]] = []
        for _ in range(2_000):
            found = client.get(f"/app/{app_id}/attempt/msg/{msg_id}").json()["data"]
            if any(attempt["statusText"] == "success" for attempt in found):
                break
        tenant.close()
    return found


def test_a_stop_under_load_loses_nothing_that_was_accepted(tmp_path: Path) -> None:
    """Every request gets an answer, or its connection ends; what was answered with 202 is there after the restart."""
    accepted: set[str] = set()
    statuses: set[int] = set()
    enough = threading.Event()
    with RunningServer(settings_for(tmp_path)) as server:
        tenant = Tenant(server)
        app_id = tenant.http.post("/app", json={"name": "App"}).json()["id"]
        tenant.close()
        authorization = ("authorization", f"Bearer {tenant.token}")

        def send(caller: int) -> None:
            with Wire(server.port) as wire, contextlib.suppress(OSError):
                for round_number in range(100_000):
                    names = [f"e-{caller}-{round_number}-{number}" for number in range(3)]
                    bodies = [b'{"eventType":"a.b","payload":{},"eventId":"%b"}' % name.encode() for name in names]
                    target = f"/api/v1/app/{app_id}/{('msg', '%6dsg')[round_number % 4 == 3]}"
                    wire.send(b"".join(request("POST", target, [authorization], body) for body in bodies))
                    answers = wire.answers(3)  # a server that neither answers nor closes makes this time out
                    statuses.update(answer.status for answer in answers)
                    accepted.update(answer.json["eventId"] for answer in answers if answer.status == 202)
                    if len(accepted) > 300:
                        enough.set()
                    if wire.closed:
                        return

        callers = [threading.Thread(target=send, args=(number,)) for number in range(6)]
        for caller in callers:
            caller.start()
        assert enough.wait(60)
        server.begin_stop()
        for caller in callers:
            caller.join(20)
            assert not caller.is_alive(), "a request was left without an answer on an open connection"
    assert statuses <= {202, 503}
    with RunningServer(settings_for(tmp_path)) as server:
        client = Tenant(server)
        http = client.http_with(tenant.token)
        kept: set[str] = set()
        iterator = ""
        while True:
            page = http.get(f"/app/{app_id}/msg?limit=250{iterator}").json()
            kept |= {message["eventId"] for message in page["data"]}
            iterator = f"&iterator={page['iterator']}"
            if page["done"]:
                break
        client.close()
    assert accepted <= kept


async def test_ready_is_said_when_callers_are_let_in_and_not_before(tmp_path: Path) -> None:
    async with Runtime(settings_for(tmp_path, port=0)) as runtime:
        for stopped_before in (False, True):
            server = build_server(runtime)
            said: list[bool] = []
            server.on_started = lambda server=server, said=said: said.append(server.servers[0].is_serving())
            if stopped_before:
                server.stop()
            serving = asyncio.create_task(server.serve())
            while not said and not serving.done():
                await asyncio.sleep(0)
            if not stopped_before:
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
                assert (await reader.readline()).startswith(b"HTTP/1.1 200")
                writer.close()
            server.stop()
            await serving
            assert said == ([] if stopped_before else [True])
