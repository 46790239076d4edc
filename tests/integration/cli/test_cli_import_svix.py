"""`hookline import svix` from one real Hookline to another: what its subscribers notice (nothing), and what is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from standardwebhooks import Webhook

from hookline.cli.client import ClientError
from hookline.cli.svix_import.calls import Answer, HttpApi
from hookline.cli.svix_import.copier import Copier
from hookline.cli.svix_import.report import Outcome, Report
from hookline.cli.svix_import.translation import MARKER
from hookline.signatures import generate_ed25519
from support.postgres import PostgresServer
from support.server import PATIENCE_S, POSTGRES_SECRETS, Receiver, RunningServer, Tenant, settings_for

MESSAGE = {"eventType": "invoice.paid", "payload": {"amount": 12}}


@pytest.fixture(scope="module")
def source_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(settings_for(tmp_path_factory.mktemp("source"))) as running:
        yield running


@pytest.fixture
def source(source_server: RunningServer) -> Iterator[Tenant]:
    """Give an organization at the server that is left behind."""
    tenant = Tenant(source_server)
    yield tenant
    tenant.close()


@pytest.fixture(scope="module")
def target_server(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    changes = {"database_url": postgres_server.dsn(postgres_server.create_database()), **POSTGRES_SECRETS}
    with RunningServer(settings_for(tmp_path_factory.mktemp("target"), **changes)) as running:
        yield running


@pytest.fixture
def target(target_server: RunningServer) -> Iterator[Tenant]:
    """Give an organization at the server that is moved to."""
    tenant = Tenant(target_server)
    yield tenant
    tenant.close()


Import = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def import_svix(hookline, source: Tenant, target: Tenant) -> Import:
    """Run the command from `source` to `target` (or to what the arguments say): exit code and report."""

    def run(*arguments: str, to: tuple[str, ...] | None = None, env: dict[str, str] | None = None):
        where = ("--url", target.server.url) if to is None else to
        secrets = {"HOOKLINE_TOKEN": target.token, "OLD_TOKEN": source.token, **(env or {})}
        done = hookline(
            *("import", "svix", "--from-url", source.server.url, "--from-token-env", "OLD_TOKEN", "--json"),
            *where,
            *arguments,
            env=secrets,
        )
        assert done.stderr == ""
        return done.returncode, json.loads(done.stdout)

    return run


def post(tenant: Tenant, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    answer = tenant.http.post(path, json=body)
    assert answer.is_success, answer.text
    return answer.json()


def get(tenant: Tenant, path: str) -> dict[str, Any]:
    answer = tenant.http.get(path)
    assert answer.is_success, answer.text
    return answer.json()


def outcomes(report: dict[str, Any]) -> dict[str, dict[str, int]]:
    """The counts that are not zero."""
    return {kind: {name: count for name, count in counts.items() if count} for kind, counts in report["counts"].items()}


def shown(tenant: Tenant, *, without: tuple[str, ...] = ("id", "createdAt", "updatedAt")) -> list[Any]:
    """Everything that a receiver or a sender could notice of an organization, but for ids and times."""

    def bare(entry: dict[str, Any]) -> dict[str, Any]:
        kept = {name: value for name, value in entry.items() if name not in without}
        kept["metadata"] = {name: value for name, value in entry["metadata"].items() if name != MARKER}
        return kept

    applications = []
    for application in get(tenant, "/app?limit=250")["data"]:
        endpoints = []
        for endpoint in get(tenant, f"/app/{application['id']}/endpoint?limit=250")["data"]:
            path = f"/app/{application['id']}/endpoint/{endpoint['id']}"
            endpoints.append([bare(endpoint), get(tenant, f"{path}/secret"), get(tenant, f"{path}/headers")])
        applications.append([bare(application), sorted(endpoints, key=str)])
    event_types = get(tenant, "/event-type?include_archived=true&with_content=true")["data"]
    return [sorted(applications, key=str), [bare({**entry, "metadata": {}}) for entry in event_types]]


def furnish(source: Tenant, receiver: Receiver) -> None:
    """Applications with and without a uid or endpoints, with all that can be said about them; three event types."""
    schema = {"1": {"type": "object", "required": ["amount"], "properties": {"amount": {"type": "integer"}}}}
    post(
        source, "/event-type", {"name": "invoice.paid", "description": "Paid", "schemas": schema, "groupName": "money"}
    )
    post(source, "/event-type", {"name": "order.paid", "description": "", "featureFlags": ["beta"], "deprecated": True})
    post(source, "/event-type", {"name": "old", "description": "Old", "archived": True})
    post(source, "/app", {"name": "Acme", "uid": "acme", "metadata": {"plan": "pro"}, "throttleRate": 50})
    plain = post(source, "/app", {"name": "Plain"})["id"]
    post(source, "/app", {"name": "Empty"})
    everything = {
        "url": f"{receiver.url}/200/acme",
        "uid": "billing",
        "description": "Billing",
        "eventTypes": ["invoice.*", "order.paid"],
        "channels": ["eu", "us"],
        "throttleRate": 20,
        "metadata": {"team": "billing"},
        "headers": {"X-Team": "billing"},
    }
    post(source, "/app/acme/endpoint", everything)
    post(source, "/app/acme/endpoint", {"url": f"{receiver.url}/200/off", "disabled": True})
    for number in range(3):
        post(source, f"/app/{plain}/endpoint", {"url": f"{receiver.url}/200/plain{number}"})


def test_everything_is_copied_once(source: Tenant, target: Tenant, receiver: Receiver, import_svix: Import) -> None:
    furnish(source, receiver)
    code, report = import_svix()
    assert (code, report["complete"]) == (0, True)
    assert outcomes(report) == {"event type": {"created": 3}, "application": {"created": 3}, "endpoint": {"created": 5}}
    assert shown(target) == shown(source)
    # Whoever named an application by its id finds the new one in the report.
    for item in report["items"]:
        if item["kind"] == "application":
            assert item["sourceId"] != item["targetId"]
            assert get(target, f"/app/{item['targetId']}")["name"] == get(source, f"/app/{item['sourceId']}")["name"]

    code, again = import_svix()
    assert (code, outcomes(again)) == (
        0, {"event type": {"unchanged": 3}, "application": {"unchanged": 3}, "endpoint": {"unchanged": 5}},
    )  # fmt: skip
    assert shown(target) == shown(source)


def test_the_receiver_verifies_with_the_old_secret(
    source: Tenant, target: Tenant, receiver: Receiver, import_svix: Import
) -> None:
    furnish(source, receiver)
    secret = get(source, "/app/acme/endpoint/billing/secret")["key"]
    import_svix()
    sent = post(target, "/app/acme/msg", {**MESSAGE, "channels": ["eu"]})
    arrived = receiver.next()
    Webhook(secret).verify(arrived.body, arrived.headers)
    assert (arrived.path, arrived.headers["x-team"]) == ("/200/acme", "billing")
    assert arrived.headers["webhook-id"] == sent["id"]


def test_what_changed_since_is_changed_and_nothing_else(
    source: Tenant, target: Tenant, receiver: Receiver, import_svix: Import
) -> None:
    furnish(source, receiver)
    import_svix()
    path = "/app/acme/endpoint/billing"
    source.http.patch("/app/acme", json={"name": "Acme Ltd"})
    source.http.delete("/event-type/order.paid")
    source.http.patch(path, json={"channels": None, "disabled": True})
    source.http.put(f"{path}/headers", json={"headers": {"x-team": "sales", "X-New": "1"}})
    post(source, f"{path}/secret/rotate", {})
    post(source, "/app/acme/endpoint", {"url": f"{receiver.url}/200/late", "uid": "late"})
    target.http.patch(path, json={"dialect": "openai"})  # Hookline's own: no business of the source
    code, report = import_svix()
    assert (code, outcomes(report)) == (
        0,
        {
            "event type": {"updated": 1, "unchanged": 2},
            "application": {"updated": 1, "unchanged": 2},
            "endpoint": {"created": 1, "updated": 1, "unchanged": 4},
        },
    )
    changed = {item["name"]: item["changed"] for item in report["items"] if item["outcome"] == "updated"}
    assert changed == {
        "order.paid": ["archived"],
        "acme": ["name"],
        "acme / billing": ["channels", "disabled", "headers", "secret"],
    }
    assert get(target, path)["dialect"] == "openai"
    own = ("id", "createdAt", "updatedAt", "dialect", "statusReason", "health")
    assert shown(target, without=own) == shown(source, without=own)


def test_a_uid_that_came_later_finds_its_copy(source: Tenant, target: Tenant, import_svix: Import) -> None:
    application = post(source, "/app", {"name": "Nameless"})["id"]
    import_svix()
    source.http.patch(f"/app/{application}", json={"uid": "named"})
    _, report = import_svix()
    assert outcomes(report)["application"] == {"updated": 1}
    assert get(target, "/app/named")["metadata"] == {}


def test_a_rehearsal_changes_nothing(source: Tenant, target: Tenant, receiver: Receiver, import_svix: Import) -> None:
    furnish(source, receiver)
    code, report = import_svix("--dry-run")
    assert (code, report["dryRun"], outcomes(report)["endpoint"]) == (0, True, {"created": 5})
    assert get(target, "/app")["data"] == []


def test_only_some_applications(source: Tenant, target: Tenant, receiver: Receiver, import_svix: Import) -> None:
    furnish(source, receiver)
    code, report = import_svix("--app", "acme", "--app", "nobody")
    assert (code, outcomes(report)["application"]) == (1, {"created": 1, "failed": 1})
    assert [app["uid"] for app in get(target, "/app")["data"]] == ["acme"]
    [note] = [note for item in report["items"] for note in item["notes"]]
    assert "404" in note


def test_one_that_is_refused_stops_no_other(
    source: Tenant, target: Tenant, receiver: Receiver, import_svix: Import
) -> None:
    """The mark needs room in the metadata, and this application has none left."""
    full = post(source, "/app", {"name": "Full", "metadata": {"all": "x" * 4_080}})["id"]
    post(source, f"/app/{full}/endpoint", {"url": f"{receiver.url}/200/x"})
    post(source, "/app", {"name": "Fine"})
    code, report = import_svix()
    assert (code, outcomes(report)["application"]) == (1, {"created": 1, "failed": 1})
    [item] = [item for item in report["items"] if item["notes"]]
    assert (item["sourceId"], "metadata" in item["notes"][0]) == (full, True)


def test_the_private_half_of_a_key_pair_must_be_brought(
    source: Tenant, target: Tenant, receiver: Receiver, import_svix: Import
) -> None:
    key = generate_ed25519(bytes(32))
    post(source, "/app", {"name": "Acme", "uid": "acme"})
    post(source, "/app/acme/endpoint", {"url": f"{receiver.url}/200/x", "uid": "pair", "secret": key.to_text()})
    code, report = import_svix()
    assert (code, outcomes(report)["endpoint"]) == (1, {"created": 1})
    assert "whsk_" in report["items"][-1]["notes"][0]
    # Until then it collects, so that nothing arrives that the receiver could not verify, and nothing is lost.
    sent = post(target, "/app/acme/msg", MESSAGE)
    assert get(target, "/app/acme/endpoint/pair")["paused"]
    assert import_svix()[0] == 1
    target.http.patch("/app/acme/endpoint/pair", json={"secret": key.to_text(), "paused": False})
    arrived = receiver.next()
    assert arrived.headers["webhook-id"] == sent["id"]
    assert arrived.headers["webhook-signature"].startswith("v1a,")
    code, report = import_svix()
    assert (code, outcomes(report)["endpoint"]) == (0, {"unchanged": 1})


def test_hidden_headers_are_named(source: Tenant, target: Tenant, receiver: Receiver, import_svix: Import) -> None:
    post(source, "/app", {"name": "Acme", "uid": "acme"})
    headers = {"Authorization": "Bearer very-secret", "X-Team": "a"}
    post(source, "/app/acme/endpoint", {"url": f"{receiver.url}/200/x", "uid": "one", "headers": headers})
    code, report = import_svix()
    assert (code, outcomes(report)["endpoint"]) == (1, {"created": 1})
    assert "Authorization" in report["items"][-1]["notes"][0]
    target.http.patch("/app/acme/endpoint/one/headers", json={"headers": {"Authorization": "Bearer very-secret"}})
    code, report = import_svix()
    assert (code, outcomes(report)["endpoint"]) == (0, {"unchanged": 1})
    assert get(target, "/app/acme/endpoint/one/headers")["headers"] == {"X-Team": "a"}


def test_into_a_database_of_this_machine(
    source: Tenant, receiver: Receiver, import_svix: Import, hookline, serve, tmp_path: Path
) -> None:
    """The server may run meanwhile; it hears of the new endpoints by itself."""
    furnish(source, receiver)
    secret = get(source, "/app/acme/endpoint/billing/secret")["key"]
    env = {"HOOKLINE_EGRESS_ALLOW": "127.0.0.0/8"}
    node = serve(env=env)
    token = hookline("token").stdout.strip()
    code, report = import_svix(to=(), env=env)
    assert (code, outcomes(report)["endpoint"]) == (0, {"created": 5})
    client = {"HOOKLINE_URL": node.address, "HOOKLINE_TOKEN": token}
    sent = hookline("send", "--app", "acme", "invoice.paid", "--channel", "eu", env=client)
    arrived = receiver.next()
    Webhook(secret).verify(arrived.body, arrived.headers)
    assert arrived.headers["webhook-id"] == sent.stdout.strip()
    assert outcomes(import_svix(to=(), env=env)[1])["endpoint"] == {"unchanged": 5}
    assert node.stop() == 0


class Breaking:
    """A source whose connection breaks for good after so many calls."""

    def __init__(self, api: HttpApi, calls: int) -> None:
        self._api = api
        self._left = calls

    async def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        self._left -= 1
        if self._left < 0:
            raise ClientError("The connection broke.")
        return await self._api.call(method, path, body)


def test_a_walk_that_ended_anywhere_is_ended_by_the_next(source: Tenant, target: Tenant, receiver: Receiver) -> None:
    furnish(source, receiver)
    url, target_url = source.server.url, target.server.url

    async def run(calls: int) -> Report:
        report = Report(dry_run=False)
        read, write = HttpApi(url, source.token, 4), HttpApi(target_url, target.token, 4)
        try:
            await Copier(Breaking(read, calls), write, report).run()
        except ClientError as error:
            report.interrupted_by = error.message
        finally:
            read.close()
            write.close()
        return report

    for calls in range(40):  # each goes a little further than the one before
        report = asyncio.run(run(calls))
        if report.is_complete:
            break
        assert report.interrupted_by == "The connection broke."
    assert (report.is_complete, calls > 10) == (True, True)
    assert shown(target) == shown(source)  # nothing is missing, nothing is there twice


class OpenSource:
    """Answers as Svix's open-source server has them: older names, no throttle rate, credentials in a URL."""

    ANSWERS: ClassVar[dict[str, dict[str, Any]]] = {
        "/event-type": {
            "data": [
                {
                    "name": "invoice.paid",
                    "description": "Paid",
                    "archived": False,
                    "deprecated": False,
                    "schemas": {"1": {"type": "object"}},
                    "featureFlag": "beta",
                    "createdAt": "2024-01-01T00:00:00Z",
                    "updatedAt": "2024-01-01T00:00:00Z",
                }
            ],
            "iterator": "invoice.paid",
            "done": True,
        },
        "/app": {
            "data": [
                {
                    "id": "app_2fJ8dXzvGm3oqQk5CtfW0h1PzYr",
                    "uid": "acme",
                    "name": "Acme",
                    "rateLimit": 50,
                    "metadata": {},
                    "createdAt": "2024-01-01T00:00:00Z",
                    "updatedAt": "2024-01-01T00:00:00Z",
                }
            ],
            "iterator": "app_2fJ8dXzvGm3oqQk5CtfW0h1PzYr",
            "done": True,
        },
        "/app/app_2fJ8dXzvGm3oqQk5CtfW0h1PzYr/endpoint": {
            "data": [
                {
                    "id": "ep_2fJ8dYh1kqQk5CtfW0h1PzYrGm3",
                    "url": "https://user:pass%21@example.com/hooks",
                    "description": "",
                    "version": 1,
                    "filterTypes": ["invoice.paid"],
                    "channels": None,
                    "rateLimit": None,
                    "uid": None,
                    "disabled": False,
                    "metadata": {},
                    "createdAt": "2024-01-01T00:00:00Z",
                    "updatedAt": "2024-01-01T00:00:00Z",
                }
            ],
            "iterator": "ep_2fJ8dYh1kqQk5CtfW0h1PzYrGm3",
            "done": True,
        },
        "/secret": {"key": "whsec_" + "AbCd" * 8},
        "/headers": {"headers": {"X-Team": "a"}, "sensitive": []},
    }

    async def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        assert method == "GET"
        bare = path.partition("?")[0]
        return Answer(200, self.ANSWERS.get(bare) or self.ANSWERS["/" + bare.rpartition("/")[2]], "")


def test_what_the_open_source_server_answers(target: Tenant) -> None:
    async def run() -> Report:
        report = Report(dry_run=False)
        write = HttpApi(target.server.url, target.token, 2)
        try:
            await Copier(OpenSource(), write, report).run()
        finally:
            write.close()
        return report

    for outcome in (Outcome.CREATED, Outcome.UNCHANGED):
        report = asyncio.run(run())
        assert [(item.outcome, item.notes) for item in report.items] == [(outcome, [])] * 3
    assert get(target, "/app/acme")["throttleRate"] == 50
    [endpoint] = get(target, "/app/acme/endpoint")["data"]
    assert (endpoint["url"], endpoint["eventTypes"]) == ("https://example.com/hooks", ["invoice.paid"])
    assert (endpoint["auth"]["type"], endpoint["auth"]["username"]) == ("basic", "user")
    assert get(target, f"/app/acme/endpoint/{endpoint['id']}/secret")["key"] == OpenSource.ANSWERS["/secret"]["key"]
    assert get(target, "/event-type/invoice.paid")["featureFlags"] == ["beta"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--from-token-file or --from-token-env"),
        (["--from-token-env", "NOT_SET"], "There is no token in NOT_SET"),
        (["--from-token-file", "nowhere"], "Cannot read nowhere"),
        (["--from-token-env", "T", "--url", "http://127.0.0.1:9"], "set HOOKLINE_TOKEN"),
        (["--from-token-env", "T", "--url", "http://127.0.0.1:9", "--org", "org_x"], "Use one of them"),
    ],
)
def test_options_that_do_not_suffice(hookline, arguments: list[str], said: str) -> None:
    done = hookline("import", "svix", "--from-url", "http://127.0.0.1:9", *arguments, env={"T": "token"})
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr


def test_tokens_and_secrets_are_not_printed(
    hookline, source: Tenant, target: Tenant, receiver: Receiver, tmp_path: Path
) -> None:
    furnish(source, receiver)
    (tmp_path / "old").write_text(source.token + "\n")
    common = ("import", "svix", "--from-url", f"{source.server.url}/api/v1/", "--url", target.server.url)
    env = {"HOOKLINE_TOKEN": target.token}
    runs = [
        hookline(*common, "--from-token", source.token, env=env),
        hookline(*common, "--from-token-file", "old", env=env),
        hookline(*common, "--from-token-file", "-", "--json", env=env, stdin=source.token),
        hookline(*common, "--from-token", "wrong", env=env),
    ]
    assert [run.returncode for run in runs] == [0, 0, 0, 1]
    assert "Other users of this machine can read --from-token" in runs[0].stderr
    assert runs[1].stderr == ""
    assert runs[1].stdout.splitlines()[3] == "endpoints\t0\t0\t5\t0\t0"
    assert "Check the token" in runs[3].stderr
    printed = "".join(run.stdout + run.stderr for run in runs)
    secret = get(source, "/app/acme/endpoint/billing/secret")["key"]
    for hidden in (source.token, target.token, secret, receiver.url):
        assert hidden not in printed


def test_a_server_that_cannot_be_reached(free_port: int) -> None:
    url = f"http://127.0.0.1:{free_port}"
    api = HttpApi(url, "token", 1, first_delay_s=0.001)
    with pytest.raises(ClientError, match=f"port {free_port}"):
        asyncio.run(asyncio.wait_for(api.call("GET", "/app"), PATIENCE_S))
    api.close()
