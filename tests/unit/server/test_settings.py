"""Settings: bounds, texts, defaults, and messages that say what to do."""

from __future__ import annotations

import ipaddress

import pytest
from pydantic import ValidationError

from hookline.engine.options import EngineOptions
from hookline.server.environment import SECRET_FIELDS, SettingsError, load_settings
from hookline.server.settings import DEFAULT_ORG, LogFormat, Role, Settings

SECRET = "s" * 48


def load(**environ: str) -> Settings:
    return load_settings(environ=environ).settings


def refusal(**environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(**environ)
    assert caught.value.code == "settings"
    return caught.value.message


def test_defaults_need_no_environment():
    settings = load()
    assert settings.database_url.get_secret_value() == "sqlite:///hookline.db"
    assert (settings.host, settings.port, settings.public_url) == ("127.0.0.1", 8071, "http://127.0.0.1:8071")
    assert settings.role is Role.ALL
    assert settings.default_org == DEFAULT_ORG
    assert settings.retry_schedule is None
    assert settings.encryption_key is None
    assert settings.jwt_secret is None
    assert settings.egress_allow == ()
    assert settings.egress_allow_http is False


def test_building_one_directly_reads_nothing_from_outside(monkeypatch):
    monkeypatch.setenv("HOOKLINE_PORT", "9")
    assert Settings().port == 8071


def test_settings_are_frozen():
    with pytest.raises(ValidationError):
        Settings().port = 1


def test_an_unknown_field_is_refused():
    with pytest.raises(SettingsError, match="no such setting"):
        load_settings({"prot": 1}, environ={})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,1", (1.0, 1.0)),
        ("5s, 5m,2h", (5.0, 300.0, 7200.0)),
        ("0.05 0.1", (0.05, 0.1)),
        ("250ms", (0.25,)),
        ("", None),
        (" , ", None),
    ],
)
def test_retry_schedule(text, expected):
    assert load(HOOKLINE_RETRY_SCHEDULE=text).retry_schedule == expected


@pytest.mark.parametrize("text", ["1,x", "-1", "nan", "inf", "1e309", "5 years", "40d", "1," * 101])
def test_unusable_retry_schedules_are_refused(text):
    assert "HOOKLINE_RETRY_SCHEDULE" in refusal(HOOKLINE_RETRY_SCHEDULE=text)


def test_networks():
    networks = load(HOOKLINE_EGRESS_ALLOW="127.0.0.0/8,::1/128").egress_allow
    assert networks == (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


@pytest.mark.parametrize("text", ["10.0.0.1/8", "localhost", "127.0.0.0/33"])
def test_unusable_networks_are_refused(text):
    message = refusal(HOOKLINE_EGRESS_ALLOW=text)
    assert "HOOKLINE_EGRESS_ALLOW" in message
    assert "Write networks as address/prefix" in message


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"HOOKLINE_HOST": "0.0.0.0", "HOOKLINE_PORT": "80"}, "http://127.0.0.1:80"),
        ({"HOOKLINE_HOST": "::"}, "http://[::1]:8071"),
        ({"HOOKLINE_HOST": "fd00::2"}, "http://[fd00::2]:8071"),
        ({"HOOKLINE_PUBLIC_URL": "https://hooks.example.com/base/"}, "https://hooks.example.com/base"),
    ],
)
def test_public_url(environ, expected):
    assert load(**environ).public_url == expected


@pytest.mark.parametrize("text", ["hooks.example.com", "ftp://x", "https://", "https://x/?a=1", "https://x/#f"])
def test_unusable_public_urls_are_refused(text):
    assert "HOOKLINE_PUBLIC_URL" in refusal(HOOKLINE_PUBLIC_URL=text)


@pytest.mark.parametrize(
    ("url", "is_postgres"),
    [
        ("sqlite:///a.db", False),
        ("sqlite:////var/lib/a.db", False),
        ("sqlite:///:memory:", False),
        ("postgresql://u:p@h/d", True),
        ("postgres://u:p@h/d", True),
    ],
)
def test_database_urls(url, is_postgres):
    settings = load(HOOKLINE_DATABASE_URL=url)
    assert settings.is_postgres is is_postgres
    assert not settings.database_url.get_secret_value().startswith("postgres:")


def test_an_unusable_database_url_is_refused_without_its_password():
    message = refusal(DATABASE_URL="mysql://root:hunter2@h/d")
    assert message.startswith("DATABASE_URL: must be sqlite:///PATH or postgresql://")
    assert "hunter2" not in message


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PORT", "65536", "HOOKLINE_PORT=65536: must be less than or equal to 65535."),
        ("PORT", "-1", "HOOKLINE_PORT=-1: must be greater than or equal to 0."),
        ("PORT", "http", "HOOKLINE_PORT=http: must be a valid integer"),
        ("ROLE", "boss", "HOOKLINE_ROLE=boss: must be 'all', 'api' or 'worker'."),
        ("LOG_LEVEL", "loud", "HOOKLINE_LOG_LEVEL=loud: must be 'debug', 'info', 'warning' or 'error'."),
        ("METRICS_ENABLED", "maybe", "HOOKLINE_METRICS_ENABLED=maybe: must be a valid boolean"),
        ("LEASE_S", "0.5", "HOOKLINE_LEASE_S=0.5: must be greater than or equal to 1."),
        ("LEASE_S", "nan", "HOOKLINE_LEASE_S=nan: must be a finite number."),
        ("DEFAULT_ORG", "acme", "HOOKLINE_DEFAULT_ORG=acme: must match pattern"),
        ("EGRESS_CA_FILE", "/nowhere.pem", "HOOKLINE_EGRESS_CA_FILE=/nowhere.pem: must name a file that exists"),
        ("EGRESS_PROXY", "socks5://h:1", "HOOKLINE_EGRESS_PROXY: must be http://HOST:PORT"),
        ("JWT_SECRET", "short", "HOOKLINE_JWT_SECRET: must have at least 32 characters"),
        ("RETENTION_DAYS", "0", "HOOKLINE_RETENTION_DAYS=0: must be greater than or equal to 1."),
    ],
)
def test_refusals_name_the_variable_and_the_rule(name, value, words):
    message = refusal(**{f"HOOKLINE_{name}": value})
    assert message.startswith(words)
    assert "\n" not in message


def test_all_that_is_wrong_is_said_at_once():
    message = refusal(HOOKLINE_PORT="x", HOOKLINE_ROLE="y", HOOKLINE_LEASE_S="z")
    assert all(name in message for name in ("HOOKLINE_PORT", "HOOKLINE_ROLE", "HOOKLINE_LEASE_S"))
    assert "PUBLIC_URL" not in message  # derived from the port; not what the operator did wrong


def test_words_are_read_in_any_case():
    settings = load(HOOKLINE_ROLE="Worker", HOOKLINE_LOG_LEVEL="DEBUG", HOOKLINE_LOG_FORMAT="JSON")
    assert (settings.role, settings.log_level, settings.log_format) == (Role.WORKER, "debug", LogFormat.JSON)


def test_no_secret_in_any_repr():
    settings = load(
        HOOKLINE_DATABASE_URL="postgresql://u:hunter2@h/d",
        HOOKLINE_ENCRYPTION_KEY="k1:hunter2",
        HOOKLINE_JWT_SECRET=SECRET,
        HOOKLINE_EGRESS_PROXY="http://u:hunter2@h:1",
    )
    shown = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    assert "hunter2" not in shown
    assert SECRET not in shown


def test_every_setting_is_described():
    missing = [name for name, field in Settings.model_fields.items() if not field.description]
    assert missing == []


def test_every_secret_field_is_known_as_one():
    assert {
        "database_url",
        "encryption_key",
        "jwt_secret",
        "egress_proxy",
        "notifiers",
        "openai_backend_key",
    } == SECRET_FIELDS


def test_defaults_are_the_engines_own():
    settings, options = Settings(), EngineOptions()
    for name in (
        "lane_concurrency",
        "max_in_flight",
        "breaker_failures",
        "breaker_failing_s",
        "claim_poll_s",
        "lease_s",
    ):
        assert getattr(settings, name) == getattr(options, name), name
    assert settings.retry_after_cap_s == options.retry_after_cap_s
    assert settings.request_timeout_s == options.request_timeout_s
    assert settings.shutdown_grace_s == options.stop_grace_s
    assert settings.retention_days * 86_400 == options.retention_s


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("{}", {}),
        ('{"team": "mailto://a"}', {"team": ("mailto://a",)}),
        ('{"a.b-c": ["slack://a", "json://b"]}', {"a.b-c": ("slack://a", "json://b")}),
    ],
)
def test_notifiers_are_read(text, addresses):
    assert Settings(notifiers=text).notifier_addresses == addresses


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a b": "x://y"}', '{"a": 7}', '{"a": "no address"}', '{"a": [[]]}'])
def test_notifiers_that_are_none(text):
    with pytest.raises(ValidationError, match="must be JSON such as"):
        Settings(notifiers=text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("off", 0), (" OFF ", 0), ("5d", 432_000), ("1.5h", 5400), ("90", 90)]
)
def test_the_period_of_nothing_but_failures(text, seconds):
    assert Settings(endpoint_disable_after=text).endpoint_disable_after == seconds
