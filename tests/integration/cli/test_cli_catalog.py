"""`hookline catalog`: ready-made event types in an organization, and what can be done with them."""

from __future__ import annotations

import json

import pytest

from hookline.cli.client import call_api
from hookline.model.openai_events import DEPRECATED, OPENAI_EVENTS

SECRETS = {"HOOKLINE_ENCRYPTION_KEY": "k1:" + "A" * 43 + "=", "HOOKLINE_JWT_SECRET": "hunter2-" * 6}


@pytest.fixture(params=["sqlite", "postgres"])
def env(request, tmp_path, hookline):
    url = f"sqlite:///{tmp_path}/test.db" if request.param == "sqlite" else request.getfixturevalue("postgres_dsn")
    made = SECRETS | {"HOOKLINE_DATABASE_URL": url}
    assert hookline("migrate", env=made).returncode == 0
    return made


def _install(hookline, env, *options: str) -> dict[str, str]:
    done = hookline("catalog", "install", "openai", "--json", *options, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)["eventTypes"]


def test_installing_twice_changes_nothing_more(hookline, env):
    everything = set(OPENAI_EVENTS)
    assert _install(hookline, env, "--dry-run") == dict.fromkeys(everything, "created")
    assert _install(hookline, env) == dict.fromkeys(everything, "created")
    assert _install(hookline, env) == dict.fromkeys(everything, "unchanged")
    told = hookline("catalog", "install", "openai", env=env)
    assert "realtime.call.incoming\tunchanged" in told.stdout.splitlines()
    assert told.stderr == f"hookline: {len(everything)} unchanged\n"


def test_what_cannot_be_installed(hookline, env):
    done = hookline("catalog", "install", "nothing", env=env)
    assert done.returncode == 1
    assert done.stderr == "hookline: There is no catalog of this name. There are: openai.\n"
    done = hookline("catalog", "install", "openai", "--org", "acme", env=env)
    assert done.returncode == 1
    assert "org" in done.stderr
    [known] = json.loads(hookline("catalog", "list", "--json").stdout)
    assert (known["name"], set(known["eventTypes"])) == ("openai", set(OPENAI_EVENTS))
    assert hookline("catalog", "list").stdout.splitlines()[1].startswith(f"openai\t{len(OPENAI_EVENTS)}\t")


def test_what_is_there_is_replaced_and_nothing_else_is_touched(hookline, serve):
    node = serve(env={"HOOKLINE_LOG_FORMAT": "json"})
    token = hookline("token").stdout.strip()

    def call(method: str, path: str, **body: object) -> dict:
        return call_api(node.address, token, method, f"/api/v1{path}", json.dumps(body).encode() if body else None)

    call("POST", "/event-type", name="my.own", description="Mine.")
    call("POST", "/event-type", name="batch.failed", description="An older text.", featureFlags=["beta"])
    outcomes = _install(hookline, {})
    assert outcomes["batch.failed"] == "updated"
    assert outcomes["batch.completed"] == "created"
    assert call("GET", "/event-type/my.own")["description"] == "Mine."
    assert call("GET", "/event-type/my.own")["archived"] is False
    for name, event in OPENAI_EVENTS.items():
        found = call("GET", f"/event-type/{name}")
        assert (found["description"], found["schemas"]["1"]) == (event.description, event.schema)
        assert (found["groupName"], found["deprecated"]) == ("openai", name in DEPRECATED)
    assert call("GET", "/event-type/batch.failed")["featureFlags"] == ["beta"]


@pytest.mark.parametrize("name", ["realtime.call.incoming", "response.cancelled", "eval.run.canceled"])
@pytest.mark.parametrize("dialect", ["openai", "standard"])
def test_an_example_of_an_installed_type_can_be_sent(hookline, serve, name, dialect):
    node = serve(env={"HOOKLINE_LOG_FORMAT": "json"})
    token = hookline("token").stdout.strip()
    _install(hookline, {})

    def post(path: str, **body: object) -> dict:
        return call_api(node.address, token, "POST", f"/api/v1{path}", json.dumps(body).encode())

    post("/app", name="App", uid="app")
    post("/app/app/endpoint", url="https://receiver.example/hooks", uid="ep", dialect=dialect)
    sent = post("/app/app/endpoint/ep/send-example", eventType=name)
    assert (sent["eventType"], sent["payload"]) == (name, OPENAI_EVENTS[name].example)
