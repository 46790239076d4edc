"""`hookline verify`: captured requests, and what is said about each."""

from __future__ import annotations

import base64
import hmac
import json
import time

import pytest

from hookline.signatures import StandardSigner, generate_ed25519, generate_symmetric

KEY = generate_symmetric(bytes(range(32)))
SECRET = KEY.to_text()
BODY = '{"type":"invoice.paid","data":{"amount":1.0,"name":"Zoë"}}'


def capture(*, body=BODY, sent_body=None, key=KEY, at_s=None, family="webhook", drop=(), extra=()):
    """Compose a request as it would be copied from a log."""
    at_s = int(time.time()) if at_s is None else at_s
    signed = StandardSigner([key]).sign("msg_1", at_s, body.encode())
    headers = [
        ("Host", "example.com"),
        ("Content-Type", "application/json"),
        (f"{family}-id", "msg_1"),
        (f"{family}-timestamp", str(at_s)),
        (f"{family}-signature", signed),
        *extra,
    ]
    lines = [f"{name}: {value}" for name, value in headers if name not in drop]
    return "\n".join(lines) + "\n\n" + (body if sent_body is None else sent_body)


def findings(done):
    return [finding["code"] for finding in json.loads(done.stdout)["findings"]]


@pytest.mark.parametrize("family", ["webhook", "svix"])
def test_a_valid_request(hookline, family):
    done = hookline("verify", "--secret", SECRET, stdin=capture(family=family))
    assert done.returncode == 0
    assert done.stdout.startswith("Valid. Message msg_1.")
    assert done.stderr == ""


def test_a_file_a_request_line_and_crlf(hookline, tmp_path):
    text = "POST /hook HTTP/1.1\n" + capture()
    (tmp_path / "request.txt").write_bytes(text.replace("\n", "\r\n").encode())
    done = hookline("verify", "request.txt", "--json", env={"HOOKLINE_WEBHOOK_SECRET": SECRET})
    assert done.returncode == 0
    assert json.loads(done.stdout)["valid"] is True
    assert json.loads(done.stdout)["messageId"] == "msg_1"


def test_headers_as_options_and_the_body_alone(hookline, tmp_path):
    head, _, body = capture().partition("\n\n")
    (tmp_path / "body.json").write_text(body)
    options = [part for line in head.splitlines() for part in ("--header", line)]
    assert hookline("verify", "body.json", *options, "--secret", SECRET).returncode == 0


def test_any_of_several_secrets(hookline):
    other = generate_symmetric(bytes(32)).to_text()
    assert hookline("verify", env={"HOOKLINE_WEBHOOK_SECRET": f"{other} {SECRET}"}, stdin=capture()).returncode == 0
    assert hookline("verify", "--secret", other, "--secret", SECRET, stdin=capture()).returncode == 0


def test_a_public_key(hookline):
    pair = generate_ed25519(bytes(range(32)))
    done = hookline("verify", "--secret", pair.verifying_key.to_text(), stdin=capture(key=pair))
    assert done.returncode == 0
    assert "v1a" in done.stdout


def test_an_editors_line_break_is_no_part_of_a_body_with_a_length(hookline):
    text = capture(extra=[("Content-Length", str(len(BODY.encode())))]) + "\n"
    assert hookline("verify", "--secret", SECRET, stdin=text).returncode == 0


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"drop": ["webhook-id"]}, "missing_header"),
        ({"at_s": int(time.time()) - 4000}, "timestamp_too_old"),
        ({"at_s": int(time.time()) + 4000}, "timestamp_too_new"),
        ({"at_s": int(time.time()) * 1000}, "timestamp_in_milliseconds"),
        ({"sent_body": BODY + "\n"}, "body_changed"),
        ({"sent_body": json.dumps(json.loads(BODY))}, "body_changed"),
        ({"sent_body": "{}"}, "no_match"),
        ({"key": generate_symmetric(bytes(32))}, "no_match"),
        ({"key": generate_ed25519(bytes(32))}, "wrong_kind_of_key"),
    ],
)
def test_what_is_wrong_is_named(hookline, changes, code):
    done = hookline("verify", "--json", "--secret", SECRET, stdin=capture(**changes))
    assert done.returncode == 1
    assert json.loads(done.stdout)["valid"] is False
    assert code in findings(done)


def test_a_signature_by_another_scheme(hookline):
    digest = base64.b64encode(hmac.digest(bytes(range(32)), BODY.encode(), "sha256")).decode()
    text = f"webhook-id: msg_1\nwebhook-timestamp: {int(time.time())}\nwebhook-signature: v1,{digest}\n\n{BODY}"
    assert "other_scheme" in findings(hookline("verify", "--json", "--secret", SECRET, stdin=text))


def test_findings_for_people(hookline):
    done = hookline("verify", "--secret", SECRET, stdin=capture(sent_body=BODY + "\n"))
    assert done.returncode == 1
    assert done.stdout.startswith("Not valid:\n  no_match: ")
    assert "body_changed: " in done.stdout
    assert SECRET not in done.stdout + done.stderr


def test_an_old_request_with_more_patience(hookline):
    text = capture(at_s=int(time.time()) - 3 * 86_400)
    assert hookline("verify", "--secret", SECRET, stdin=text).returncode == 1
    assert hookline("verify", "--secret", SECRET, "--tolerance", "7d", stdin=text).returncode == 0


def test_an_unreadable_secret(hookline):
    done = hookline("verify", "--json", "--secret", "whsec_!", stdin=capture())
    assert done.returncode == 1
    assert "malformed_key" in findings(done)


@pytest.mark.parametrize(
    ("arguments", "text", "words"),
    [
        (["--secret", SECRET], "", "no empty line"),
        (["--secret", SECRET], "webhook-id: msg_1", "no empty line"),
        (["--secret", SECRET], "this is not a header\n\n{}", "no header"),
        (["nowhere.txt", "--secret", SECRET], "", "Cannot read nowhere.txt"),
        (["-H", "bad", "--secret", SECRET], "{}", "no header"),
        ([], "webhook-id: msg_1\n\n{}", "HOOKLINE_WEBHOOK_SECRET"),
    ],
)
def test_what_cannot_be_read_is_an_error_with_advice(hookline, arguments, text, words):
    done = hookline("verify", *arguments, stdin=text)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert words in done.stderr
