"""`hookline config` and `hookline secret`."""

from __future__ import annotations

import base64
import json

from hookline.server.settings import Settings
from hookline.signatures import SymmetricKey, parse_key
from hookline.store import KeyRing

SECRET = "hunter2-" * 6


def test_show_names_value_and_origin(hookline, tmp_path):
    (tmp_path / "jwt").write_text(SECRET)
    done = hookline(
        *("config", "show", "--json", "--database", "sqlite:///other.db"),
        env={"HOOKLINE_PORT": "4711", "HOOKLINE_JWT_SECRET_FILE": "jwt", "LOG_LEVEL": "debug"},
    )
    assert done.returncode == 0
    shown = json.loads(done.stdout)
    assert list(shown) == list(Settings.model_fields)
    assert shown["port"] == {
        "value": 4711,
        "origin": "environment",
        "name": "HOOKLINE_PORT",
        "variable": "HOOKLINE_PORT",
    }
    assert shown["database_url"]["value"] == "sqlite:///other.db"
    assert shown["database_url"]["origin"] == "command line"
    assert shown["jwt_secret"]["value"] == "***"
    assert shown["jwt_secret"]["origin"] == "file"
    assert shown["log_level"]["name"] == "LOG_LEVEL"
    assert shown["host"]["origin"] == "default"


def test_show_masks_every_secret(hookline):
    env = {
        "HOOKLINE_DATABASE_URL": "postgresql://u:hunter2@h/d",
        "HOOKLINE_ENCRYPTION_KEY": "k1:hunter2hunter2",
        "HOOKLINE_JWT_SECRET": SECRET,
        "HOOKLINE_EGRESS_PROXY": "http://u:hunter2@proxy:3128",
    }
    for options in ([], ["--json"]):
        done = hookline("config", "show", *options, env=env)
        assert done.returncode == 0
        assert "hunter2" not in done.stdout + done.stderr
        assert "postgresql://u:***@h/d" in done.stdout
        assert "http://u:***@proxy:3128" in done.stdout
        assert "k1:***" in done.stdout


def test_a_pipe_gets_lines_with_tabs(hookline):
    lines = hookline("config", "show", env={"HOOKLINE_RETRY_SCHEDULE": "1,90s"}).stdout.splitlines()
    assert lines[0] == "variable\tvalue\torigin"
    assert "HOOKLINE_RETRY_SCHEDULE\t1,90\tenvironment: HOOKLINE_RETRY_SCHEDULE" in lines
    assert len(lines) == 1 + len(Settings.model_fields)


def test_an_unknown_variable_is_a_warning_beside_the_answer(hookline):
    done = hookline("config", "show", "--json", env={"HOOKLINE_PROT": "1"})
    assert done.returncode == 0
    assert json.loads(done.stdout)["port"]["value"] == 8071
    assert done.stderr == "hookline: HOOKLINE_PROT is no setting and has no effect. Did you mean HOOKLINE_PORT?\n"


def test_a_wrong_value_is_one_line_and_code_1(hookline):
    done = hookline("config", "show", env={"HOOKLINE_PORT": "eighty", "HOOKLINE_ROLE": "boss"})
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("hookline: HOOKLINE_PORT=eighty: ")
    assert "HOOKLINE_ROLE=boss" in done.stderr


def test_dotenv_files_are_not_read(hookline, tmp_path):
    (tmp_path / ".env").write_text("HOOKLINE_PORT=1\n")
    assert json.loads(hookline("config", "show", "--json").stdout)["port"]["value"] == 8071


def test_the_template_is_the_defaults(hookline):
    text = hookline("config", "template").stdout
    assigned = dict(line[1:].partition("=")[::2] for line in text.splitlines() if line.startswith("#HOOKLINE_"))
    assert len(assigned) == len(Settings.model_fields)
    # Uncommented, it changes nothing.
    shown = json.loads(hookline("config", "show", "--json", env=assigned).stdout)
    defaults = json.loads(hookline("config", "show", "--json").stdout)
    assert {name: entry["value"] for name, entry in shown.items()} == {
        name: entry["value"] for name, entry in defaults.items()
    }


def test_generated_secrets_are_usable_and_new_each_time(hookline):
    ring = hookline("secret", "generate", "encryption-key").stdout.strip()
    assert KeyRing.from_text(ring).to_text() == ring
    webhook = hookline("secret", "generate", "webhook").stdout.strip()
    assert isinstance(parse_key(webhook), SymmetricKey)
    first, second = (hookline("secret", "generate", "jwt-secret").stdout.strip() for _ in range(2))
    assert first != second
    assert len(base64.urlsafe_b64decode(first)) == 48
