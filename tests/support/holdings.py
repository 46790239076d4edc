"""An application with one of everything, and requests to each operation of the API made from its description.

Whatever is added to the API is in here by itself, as long as its path names things that a holding has.
"""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import time
from typing import Any, NamedTuple

import asyncpg
import httpx2

from hookline.model.ids import new_id
from hookline.server.description import describe, list_operations
from support.server import PATIENCE_S, Receiver, Tenant

DESCRIPTION = describe()
_ID = re.compile(r"\b([a-z]+)_[0-9a-z]{26}\b")


class Described(NamedTuple):
    """An operation as the description has it. `path` is below `/api/v1`; `names` are those in its path."""

    id: str
    method: str
    path: str
    names: tuple[str, ...]
    content: dict[str, Any]

    @property
    def body(self) -> Any:
        """The example of its body; None when it takes none."""
        media = self.content.get("requestBody", {}).get("content", {}).get("application/json")
        if media is None:
            return None
        if "example" in media:
            return json.loads(json.dumps(media["example"]))
        schema = media["schema"]
        if "$ref" in schema:
            schema = DESCRIPTION["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        [example] = schema["examples"]
        return json.loads(json.dumps(example))

    def query(self) -> set[str]:
        return {one["name"] for one in self.content.get("parameters", ()) if one.get("in") == "query"}


def describe_operations() -> list[Described]:
    """Every operation under `/api/v1`."""
    found = []
    for path, method, content in list_operations(DESCRIPTION):
        if path.startswith("/api/v1/"):
            names = tuple(re.findall(r"\{(\w+)\}", path))
            found.append(Described(content["operationId"], method, path.removeprefix("/api/v1"), names, content))
    return sorted(found)


class Holding:
    """An application of a tenant's, with an endpoint, a message, an attempt; and what its organization has.

    Nothing of it is under way: what is in the database stays as it is until somebody changes it.
    """

    def __init__(self, tenant: Tenant, receiver: Receiver, mark: str) -> None:
        self.tenant = tenant
        self.mark = mark
        http = tenant.http
        self.app_id: str = _made(http.post("/app", json={"name": f"{mark} app", "uid": f"{mark}-app"}))["id"]
        type_name = f"{mark}.happened"
        schemas = {"1": {"type": "object", "examples": [{"of": mark}]}}
        content = {"name": type_name, "description": mark, "schemas": schemas}
        _made(http.post("/event-type", json=content))
        endpoint = {
            "url": f"{receiver.url}/200/{mark}",
            "uid": f"{mark}-ep",
            "description": mark,
            "headers": {"X-Mark": mark},
        }
        endpoint_id = _made(http.post(f"/app/{self.app_id}/endpoint", json=endpoint))["id"]
        message = {"eventType": type_name, "payload": {"of": mark}, "eventId": f"{mark}-evt", "tags": [mark]}
        msg_id = _made(http.post(f"/app/{self.app_id}/msg", json=message))["id"]
        attempts = _until(lambda: http.get(f"/app/{self.app_id}/attempt/msg/{msg_id}").json()["data"])
        started = http.post(f"/app/{self.app_id}/endpoint/{endpoint_id}/recover", json={"since": _hour_ago()})
        task_id = _made(started)["id"]
        _until(lambda: http.get(f"/background-task/{task_id}").json()["status"] != "running")
        told = {"url": f"{receiver.url}/200/{mark}", "uid": f"{mark}-ops", "disabled": True}
        answer = http.post("/operational-webhook/endpoint", json=told)
        operations = http.get(f"/operational-webhook/endpoint/{mark}-ops") if answer.status_code == 409 else answer
        rule = {"name": mark, "kind": "failure_rate", "threshold": 0.5, "appId": self.app_id, "enabled": False}
        rule_id = _made(http.post("/alert-rule", json=rule))["id"]
        #: what stands for what in a path: an id, then the name that somebody chose
        self.names: dict[str, tuple[str, ...]] = {
            "app_id": (self.app_id, f"{mark}-app"),
            "endpoint_id": (endpoint_id, f"{mark}-ep"),
            "msg_id": (msg_id, f"{mark}-evt"),
            "attempt_id": (attempts[0]["id"],),
            "event_type_name": (type_name,),
            "task_id": (task_id,),
            "rule_id": (rule_id,),
        }
        self.operations_names = (_made(operations)["id"], f"{mark}-ops")

    def of(self, operation: Described, name: str) -> tuple[str, ...]:
        """What may stand for a name in the path of an operation. An unknown name is for you to add above."""
        if name == "endpoint_id" and operation.path.startswith("/operational-webhook"):
            return self.operations_names
        return self.names[name]

    def owned(self, body: Any) -> Any:
        """A body whose ids are of this holding, wherever it has some."""
        by_prefix = {names[0].rpartition("_")[0]: names[0] for names in self.names.values() if _ID.fullmatch(names[0])}
        return json.loads(_ID.sub(lambda match: by_prefix.get(match[1], match[0]), json.dumps(body)))

    def fitting(self, operation: Described) -> Any:
        """The example of an operation's body, about what is here: no name of its own that could be taken already."""
        body = self.owned(operation.body)
        if not isinstance(body, dict):
            return body
        body = {member: value for member, value in body.items() if member not in {"uid", "eventId"}}
        replaced: dict[str, Any] = {"eventType": f"{self.mark}.happened", "appIds": [self.app_id], "notify": []}
        if operation.id == "v1.event-type.create":
            replaced["name"] = f"{self.mark}.{new_id('x')}"
        return {member: replaced.get(member, value) for member, value in body.items()}

    def photograph(self, *, organization: bool) -> dict[str, list[Any]]:
        """Every row of the database that is this application's, or its whole organization's."""
        settings = self.tenant.server.runtime.settings
        url = settings.database_url.get_secret_value()
        read = _read_postgres(url) if settings.is_postgres else _read_sqlite(url.removeprefix("sqlite:///"))
        found: dict[str, list[Any]] = {}
        for table, rows in read.items():
            mine = [row for row in rows if self._is_mine(table, row, organization=organization)]
            if mine:
                found[table] = sorted(mine, key=repr)
        assert {"hookline_applications", "hookline_endpoints", "hookline_messages", "hookline_attempts"} <= found.keys()
        return found

    def _is_mine(self, table: str, row: dict[str, Any], *, organization: bool) -> bool:
        if organization and self.tenant.org_id in {row.get("org_id"), row.get("id")}:
            return True
        return row.get("app_id") == self.app_id or (table == "hookline_applications" and row["id"] == self.app_id)


def unknown(value: str) -> str:
    """Another text of the same form that stands for nothing."""
    match = _ID.fullmatch(value)
    return f"nothing-{new_id('x')[2:]}" if match is None else new_id(match[1])


def masked(text: str) -> str:
    """An answer without what is new in it each time."""
    text = _ID.sub(r"\1_*", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "*", text)
    return re.sub(r"whsec_[A-Za-z0-9+/=]+|eyJ[A-Za-z0-9_.\-]+|nothing-[0-9a-z]{26}", "*", text)


def _made(answer: httpx2.Response) -> dict[str, Any]:
    assert answer.status_code < 300, answer.text
    made: dict[str, Any] = answer.json()
    return made


def _until(look: Any) -> Any:
    until = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < until
    return found


def _hour_ago() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3_600))


def _read_sqlite(path: str) -> dict[str, list[dict[str, Any]]]:
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    try:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'hookline%'")
        return {
            name: [dict(row) for row in connection.execute(f"SELECT * FROM {name}")] for (name,) in names.fetchall()
        }
    finally:
        connection.close()


def _read_postgres(dsn: str) -> dict[str, list[dict[str, Any]]]:
    async def read() -> dict[str, list[dict[str, Any]]]:
        connection = await asyncpg.connect(dsn)
        try:
            names = await connection.fetch(
                "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition "
                "AND relname LIKE 'hookline%'"
            )
            return {name: [dict(row) for row in await connection.fetch(f"SELECT * FROM {name}")] for (name,) in names}
        finally:
            await connection.close()

    return asyncio.run(read())
