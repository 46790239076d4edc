"""`hookline serve` and, against it, `hookline send`, `token` and `key`: real processes, a real port."""

from __future__ import annotations

import json
import socket
import sqlite3
import urllib.request

import pytest

SECRETS = {
    "HOOKLINE_ENCRYPTION_KEY": "k1:" + "A" * 43 + "=",
    "HOOKLINE_JWT_SECRET": "hunter2-" * 6,
}


def call(address, token, path, body=None):
    """Call the API of a server and give its JSON."""
    request = urllib.request.Request(
        address + path,
        None if body is None else json.dumps(body).encode(),
        {"authorization": f"Bearer {token}", "content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.loads(response.read())


def test_a_fresh_start_serves_says_what_it_made_and_stops(hookline, serve, tmp_path):
    node = serve()
    starting = next(line for line in node.lines if line.get("action") == "starting")
    assert starting["database"] == "sqlite:///hookline.db"
    notices = [line["event"] for line in node.lines if line.get("action") == "notice"]
    assert [("hookline.db.key" in notices[0]), ("hookline.db.jwt" in notices[1])] == [True, True]

    token = hookline("token").stdout.strip()
    application = call(node.address, token, "/api/v1/app", {"name": "Acme", "uid": "acme"})
    assert application["uid"] == "acme"

    data = '{"amount": 1.0, "n": 12345678901234567890, "s": "Zo\\u00eb"}'
    env = {"HOOKLINE_URL": node.address, "HOOKLINE_TOKEN": token}
    sent = hookline("send", "--app", "acme", "invoice.paid", "--data", data, "--event-id", "e1", env=env)
    assert sent.returncode == 0, sent.stderr
    message_id = sent.stdout.strip()
    assert message_id.startswith("msg_")
    got = call(node.address, token, f"/api/v1/app/acme/msg/{message_id}")
    assert (got["eventType"], got["eventId"], got["payload"]["n"]) == ("invoice.paid", "e1", 12345678901234567890)
    connection = sqlite3.connect(tmp_path / "hookline.db")
    [(payload,)] = connection.execute("SELECT payload FROM hookline_messages").fetchall()
    connection.close()
    assert bytes(payload) == data.encode()  # byte for byte, numbers as they were written

    assert node.stop() == 0
    assert node.lines[-1]["action"] == "stopped"
    assert token not in json.dumps(node.lines)

    again = serve()
    assert [line for line in again.lines if line.get("action") == "notice"] == []
    assert call(again.address, token, f"/api/v1/app/acme/msg/{message_id}")["id"] == message_id
    assert again.stop() == 0


def test_a_key_works_beside_the_running_server_and_ends_when_revoked(hookline, serve):
    node = serve()
    made = json.loads(hookline("key", "create", "--json").stdout)
    env = {"HOOKLINE_URL": node.address, "HOOKLINE_TOKEN": made["key"]}
    call(node.address, made["key"], "/api/v1/app", {"name": "Acme", "uid": "acme"})
    answer = json.loads(
        hookline("send", "--app", "acme", "a.b", "--channel", "c1", "--channel", "c2", "--json", env=env).stdout
    )
    assert sorted(answer["channels"]) == ["c1", "c2"]

    narrow = json.loads(hookline("key", "create", "--app", "acme", "--json").stdout)
    assert narrow["appId"].startswith("app_")
    assert hookline("send", "--app", "acme", "a.b", env=env | {"HOOKLINE_TOKEN": narrow["key"]}).returncode == 0

    # A key that the server has not seen yet: it is refused at once, whatever the server remembers for a few seconds.
    rotated = json.loads(hookline("key", "rotate", narrow["id"], "--json").stdout)
    assert hookline("key", "revoke", rotated["id"]).returncode == 0
    refused = hookline("send", "--app", "acme", "a.b", env=env | {"HOOKLINE_TOKEN": rotated["key"]})
    assert refused.returncode == 1
    assert "401" in refused.stderr
    assert rotated["key"] not in refused.stderr


def test_what_send_says_when_it_is_refused(hookline, serve, tmp_path):
    node = serve()
    token = hookline("token").stdout.strip()
    call(node.address, token, "/api/v1/app", {"name": "Acme", "uid": "acme"})
    env = {"HOOKLINE_URL": node.address, "HOOKLINE_TOKEN": token}
    (tmp_path / "payload.json").write_text('{"from": "a file"}\n')
    cases = [
        (["--app", "nobody", "a.b"], env, "", "404"),
        (["--app", "../../x", "a.b"], env, "", "404"),
        (["--app", "acme", "not a type"], env, "", "422"),
        (["--app", "acme", "a.b"], env | {"HOOKLINE_TOKEN": "nonsense"}, "", "401"),
        (["--app", "acme", "a.b"], {"HOOKLINE_URL": node.address}, "", "Set HOOKLINE_TOKEN"),
        (["--app", "acme", "a.b", "--data", "{"], env, "", "is not JSON"),
        (["--app", "acme", "a.b", "--data", "[1]"], env, "", "must be a JSON object"),
        (["--app", "acme", "a.b", "--data", "@nowhere"], env, "", "Cannot read nowhere"),
        (["--app", "acme", "a.b", "--url", "file:///etc/passwd"], env, "", "no address of a server"),
    ]
    for arguments, environ, stdin, words in cases:
        done = hookline("send", *arguments, env=environ, stdin=stdin)
        assert done.returncode == 1, arguments
        assert words in done.stderr, done.stderr
        assert done.stderr.count("\n") == 1
        assert done.stdout == ""
        assert token not in done.stderr
    for source, stdin in (("@payload.json", ""), ("-", '{"from": "a pipe"}')):
        assert hookline("send", "--app", "acme", "a.b", "--data", source, env=env, stdin=stdin).returncode == 0


def test_send_without_a_server(hookline, free_port):
    env = {"HOOKLINE_URL": f"http://127.0.0.1:{free_port}", "HOOKLINE_TOKEN": "hk_x"}
    done = hookline("send", "--app", "acme", "a.b", env=env)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "hookline serve" in done.stderr


def test_a_port_that_is_taken(hookline):
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = hookline("serve", "--port", str(other.getsockname()[1]))
    assert done.returncode == 1
    assert "Cannot listen on 127.0.0.1" in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_an_address_that_is_not_this_machines(hookline):
    done = hookline("serve", "--port", "0", "--host", "192.0.2.1")
    assert done.returncode == 1
    assert done.stderr.startswith("hookline: Cannot listen on 192.0.2.1")
    assert done.stderr.count("\n") == 1


def test_a_second_server_on_one_sqlite_file(hookline, serve):
    serve()
    done = hookline("serve", "--port", "0")
    assert done.returncode == 1
    assert done.stderr.startswith("hookline: ")
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stdout + done.stderr


def test_the_log_warns_of_unknown_variables(serve):
    node = serve(env={"HOOKLINE_PROT": "1"})
    [warning] = [line for line in node.lines if line.get("action") == "settings"]
    assert "Did you mean HOOKLINE_PORT?" in warning["event"]
    assert warning["level"] == "warning"


def test_postgres_is_brought_up_to_date_by_the_server_itself(hookline, serve, postgres_dsn):
    env = SECRETS | {"DATABASE_URL": postgres_dsn}
    node = serve(env=env)
    token = hookline("token", env=env).stdout.strip()
    call(node.address, token, "/api/v1/app", {"name": "Acme", "uid": "acme"})
    sent = hookline("send", "--app", "acme", "a.b", env={"HOOKLINE_URL": node.address, "HOOKLINE_TOKEN": token})
    assert sent.returncode == 0, sent.stderr
    assert node.stop() == 0
    assert "hunter2" not in json.dumps(node.lines)


@pytest.mark.parametrize("missing", sorted(SECRETS))
def test_postgres_without_a_secret_does_not_start(hookline, postgres_dsn, missing):
    env = SECRETS | {"HOOKLINE_DATABASE_URL": postgres_dsn}
    del env[missing]
    done = hookline("serve", "--port", "0", env=env)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert missing in done.stderr
    assert "hookline secret generate" in done.stderr
