"""A whole session at the most talkative log level: nothing secret is in the log, whatever went wrong on the way."""

from __future__ import annotations

import base64
import json
import socket
import urllib.error
import urllib.request

from support.server import Receiver

JWT_SECRET = "jwt-5ecret-" * 4
ENCRYPTION_KEY = base64.b64encode(b"encryption-5ecret-of-32-bytes-12").decode()
GIVEN = "whsec_" + base64.b64encode(b"endpoint-5ecret-of-24-bytes").decode()
ROTATED = "whsec_" + base64.b64encode(b"rotated--5ecret-of-24-bytes").decode()
TEXT_SECRET = "plain-5ecret-of-an-endpoint"
HEADER = "Bearer header-5ecret-value"
API_HEADER = "x-api-5ecret-value"
AUTH_PASSWORD = "basic-5ecret-password"
CLIENT_SECRET = "oauth-5ecret-of-the-client"
TRANSFORM = "{text: 'transform-5ecret-value'}"
PAYLOAD = "payload-5ecret-value"
PASSWORD = "url-5ecret-password"
WRONG = ["hk_wrong-5ecret-key-of-somebody-0123456789-abcdefg", "eyJhbGciOiJ5ecret.eyJzdWIi5ecret.c2ln5ecret"]


def test_the_log_of_a_session_holds_no_secret(hookline, serve):
    env = {
        "HOOKLINE_JWT_SECRET": JWT_SECRET,
        "HOOKLINE_ENCRYPTION_KEY": f"k1:{ENCRYPTION_KEY}",
        "HOOKLINE_LOG_LEVEL": "debug",
        "HOOKLINE_EGRESS_ALLOW": "127.0.0.0/8",
        "HOOKLINE_RETRY_SCHEDULE": "0.05",
    }
    node = serve(env=env)
    token = hookline("token", env=env).stdout.strip()
    key = json.loads(hookline("key", "create", "--json", env=env).stdout)["key"]
    shown = []

    def call(method, path, body=None, credential=token, headers=()):
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        request = urllib.request.Request(f"{node.address}/api/v1{path}", data, dict(headers), method=method)
        request.add_header("authorization", f"Bearer {credential}")
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                content = response.read()
                return json.loads(content) if content else None
        except urllib.error.HTTPError as error:
            with error:
                content = error.read()
            shown.append(content.decode())
            return json.loads(content)

    with Receiver() as receiver:
        call("POST", "/app", {"name": "App", "uid": "app"}, key)
        call("POST", "/app/app/endpoint", {"url": f"{receiver.url}/500/x", "secret": GIVEN, "uid": "ep"})
        call("PUT", "/app/app/endpoint/ep/headers", {"headers": {"Authorization": HEADER, "X-Api-Key": API_HEADER}})
        call("POST", "/app/app/endpoint", {"url": f"{receiver.url}/200/y", "dialect": "plain", "secret": TEXT_SECRET})
        call("POST", "/app/app/endpoint", {"url": "http://127.0.0.1:9/refused"})
        # Credentials for receivers: one that works, a token that nobody issues, a certificate that is refused.
        basic = {"type": "basic", "username": "me", "password": AUTH_PASSWORD}
        oauth = {
            "type": "oauth2",
            "tokenUrl": f"{receiver.url}/401/token",
            "clientId": "me",
            "clientSecret": CLIENT_SECRET,
        }
        call("POST", "/app/app/endpoint", {"url": f"{receiver.url}/200/basic", "auth": basic, "uid": "basic"})
        call("POST", "/app/app/endpoint", {"url": f"{receiver.url}/200/oauth", "auth": oauth, "transform": TRANSFORM})
        call("PATCH", "/app/app/endpoint/basic", {"auth": {"type": "bearer", "token": f"{CLIENT_SECRET} blank"}})
        call("PATCH", "/app/app/endpoint/basic", {"auth": {**basic, "password": f"{AUTH_PASSWORD}\n"}})
        for pem in (GIVEN, f"-----BEGIN PRIVATE KEY-----\n{GIVEN}\n-----END PRIVATE KEY-----\n"):
            identity = {"certificatePem": pem, "privateKeyPem": pem}
            call("PATCH", "/app/app/endpoint/basic", {"clientCertificate": identity, "caPem": pem})
        call("POST", "/app/app/endpoint/ep/secret/rotate", {"key": ROTATED})
        for credential in (token, key, key):
            sent = call("POST", "/app/app/msg", {"eventType": "a.b", "payload": {"of": PAYLOAD}}, credential)
            assert sent["id"].startswith("msg_")
        # Three messages to three endpoints, one of which is tried twice; and a token that was asked for.
        sent_along = {receiver.next().headers.get("authorization") for _ in range(12)} - {None}
        assert {HEADER, f"Basic {base64.b64encode(f'me:{AUTH_PASSWORD}'.encode()).decode()}"} <= sent_along
        # Now what goes wrong: secrets where they do not belong, credentials that are none, requests that are none.
        for wrong in WRONG:
            assert call("GET", "/app", credential=wrong)["code"] == "authentication_failed"
        call("POST", "/app/app/endpoint", {"url": f"https://user:{PASSWORD}@example.com/x"})
        call("POST", "/app/app/endpoint", {"url": f"{receiver.url}/z", "secret": GIVEN[:-8] + "!!"})
        call(
            "POST", "/app/app/endpoint", {"url": f"{receiver.url}/z", "headers": {"Authorization": HEADER + "\r\nx: y"}}
        )
        call("POST", "/app/app/msg", b'{"eventType":"a.b","payload":{"of":"%b"' % PAYLOAD.encode())
        call("POST", f"/app/{key}/msg", {"eventType": "a.b", "payload": {}})
        with socket.create_connection(("127.0.0.1", int(node.address.rpartition(":")[2]))) as connection:
            connection.sendall(f"GET / HTTP/1.1\r\nauthorization: Bearer {key}\r\nbad header\r\n\r\n".encode())
            assert connection.recv(1_000).startswith(b"HTTP/1.1 400")
    assert node.stop() == 0
    log = "\n".join(json.dumps(line) for line in node.lines)
    assert {"ready", "stopped"} <= {line.get("action") for line in node.lines}
    answers = "\n".join(shown)
    for text in (
        JWT_SECRET,
        ENCRYPTION_KEY,
        GIVEN,
        ROTATED,
        TEXT_SECRET,
        AUTH_PASSWORD,
        CLIENT_SECRET,
        TRANSFORM,
        HEADER,
        API_HEADER,
        PAYLOAD,
        PASSWORD,
        token,
        key,
        *sent_along,
    ):
        assert text not in log
        assert text not in answers
        assert base64.b64encode(text.encode()).decode() not in log
    assert "5ecret" not in log
