"""Where settings come from, and what is said about variables that are none."""

from __future__ import annotations

import os
import threading

import pytest

from hookline.server.environment import DEFAULT, Origin, SettingsError, load_settings

SECRET = "s" * 48


def test_the_process_environment_is_the_default_source(monkeypatch):
    monkeypatch.setenv("HOOKLINE_PORT", "4711")
    assert load_settings().settings.port == 4711


def test_every_origin_is_remembered(tmp_path):
    path = tmp_path / "jwt"
    path.write_text(SECRET + "\n")
    loaded = load_settings(
        {"host": "::1", "role": None},
        environ={"HOOKLINE_PORT": "1", "HOOKLINE_JWT_SECRET_FILE": str(path), "HOOKLINE_HOST": "h"},
    )
    assert loaded.origins["host"] == Origin("command line", "--host")
    assert loaded.origins["port"] == Origin("environment", "HOOKLINE_PORT")
    assert loaded.origins["jwt_secret"] == Origin("file", f"HOOKLINE_JWT_SECRET_FILE={path}")
    assert loaded.origins["role"] is DEFAULT
    assert loaded.settings.host == "::1"
    assert loaded.settings.jwt_secret.get_secret_value() == SECRET


@pytest.mark.parametrize(
    ("field", "ours", "platform"),
    [
        ("database_url", "HOOKLINE_DATABASE_URL", "DATABASE_URL"),
        ("port", "HOOKLINE_PORT", "PORT"),
        ("log_level", "HOOKLINE_LOG_LEVEL", "LOG_LEVEL"),
    ],
)
def test_names_that_platforms_set_are_read_after_ours(field, ours, platform):
    values = {"database_url": ("sqlite:///a", "sqlite:///b"), "port": ("1", "2"), "log_level": ("debug", "error")}
    first, second = values[field]
    alone = load_settings(environ={platform: second})
    assert alone.origins[field] == Origin("environment", platform)
    both = load_settings(environ={ours: first, platform: second})
    assert both.origins[field] == Origin("environment", ours)
    assert getattr(both.settings, field) != getattr(alone.settings, field)


def test_a_file_of_ours_comes_before_a_platform_name(tmp_path):
    path = tmp_path / "url"
    path.write_text("sqlite:///mine.db")
    loaded = load_settings(environ={"HOOKLINE_DATABASE_URL_FILE": str(path), "DATABASE_URL": "postgresql://u@h/d"})
    assert loaded.settings.database_url.get_secret_value() == "sqlite:///mine.db"


def test_empty_variables_count_as_not_set(tmp_path):
    loaded = load_settings(environ={"HOOKLINE_PORT": "", "HOOKLINE_JWT_SECRET": "", "HOOKLINE_JWT_SECRET_FILE": ""})
    assert loaded.settings.port == 8071
    assert loaded.settings.jwt_secret is None


@pytest.mark.parametrize("field", ["DATABASE_URL", "ENCRYPTION_KEY", "JWT_SECRET", "EGRESS_PROXY"])
def test_every_secret_may_stand_in_a_file(tmp_path, field):
    values = {
        "DATABASE_URL": "postgresql://u:p@h/d",
        "ENCRYPTION_KEY": "k1:AAAA",
        "JWT_SECRET": SECRET,
        "EGRESS_PROXY": "http://u:p@proxy:3128",
    }
    path = tmp_path / "secret"
    path.write_text(f"  {values[field]}\r\n")
    loaded = load_settings(environ={f"HOOKLINE_{field}_FILE": str(path)})
    assert getattr(loaded.settings, field.lower()).get_secret_value() == values[field]
    assert loaded.warnings == ()


def test_a_secret_may_come_through_a_pipe():
    read_end, write_end = os.pipe()
    writer = threading.Thread(target=lambda: (os.write(write_end, SECRET.encode()), os.close(write_end)))
    writer.start()
    loaded = load_settings(environ={"HOOKLINE_JWT_SECRET_FILE": f"/dev/fd/{read_end}"})
    writer.join()
    os.close(read_end)
    assert loaded.settings.jwt_secret.get_secret_value() == SECRET


def test_a_value_and_a_file_for_one_secret_are_refused(tmp_path):
    environ = {"HOOKLINE_JWT_SECRET": SECRET, "HOOKLINE_JWT_SECRET_FILE": str(tmp_path / "x")}
    with pytest.raises(SettingsError, match=r"both set\. Unset one of them"):
        load_settings(environ=environ)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, r"cannot read .*No such file"),
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"x" * 70_000, "is larger than 65536 bytes"),
    ],
)
def test_an_unusable_file_never_counts_as_not_set(tmp_path, content, words):
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=f"HOOKLINE_JWT_SECRET_FILE: .*{words}"):
        load_settings(environ={"HOOKLINE_JWT_SECRET_FILE": str(path)})


def test_only_secrets_have_file_variables():
    loaded = load_settings(environ={"HOOKLINE_PORT_FILE": "/nowhere"})
    assert len(loaded.warnings) == 1


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("HOOKLINE_PROT", "HOOKLINE_PORT"),
        ("HOOKLINE_RETRY_SHEDULE", "HOOKLINE_RETRY_SCHEDULE"),
        ("HOOKLINE_JWT_SECRET_FIEL", "HOOKLINE_JWT_SECRET_FILE"),
        ("HOOKLINE_DB_URL", "HOOKLINE_DATABASE_URL"),
    ],
)
def test_an_unknown_variable_is_named_with_the_nearest_one(name, nearest):
    assert load_settings(environ={name: "x"}).warnings == (
        f"{name} is no setting and has no effect. Did you mean {nearest}?",
    )


def test_an_unknown_variable_unlike_any_other():
    [warning] = load_settings(environ={"HOOKLINE_ZZZZZZZZZZ": "x"}).warnings
    assert warning.startswith("HOOKLINE_ZZZZZZZZZZ is no setting")
    assert "config show" in warning


@pytest.mark.parametrize("name", ["HOOKLINE_URL", "HOOKLINE_TOKEN", "HOOKLINE_WEBHOOK_SECRET", "HOOKLINE_TEST_X", "X"])
def test_other_variables_are_left_alone(name):
    assert load_settings(environ={name: "x"}).warnings == ()


def test_a_refused_value_of_the_command_line_names_its_option():
    with pytest.raises(SettingsError, match="--port=70000: must be less"):
        load_settings({"port": 70_000}, environ={})
