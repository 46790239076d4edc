"""Every setting of a server: its type, its bounds, its default, and what it is for.

One frozen `Settings` is built once (`environment.load_settings` reads the environment and the command line) and is
passed on explicitly; nothing else looks at the environment. A field `port` is the variable `HOOKLINE_PORT`. Building
one directly, `Settings(port=0)`, reads nothing from outside. The defaults below are the documentation of the defaults.
"""

from __future__ import annotations

import json
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from hookline.egress.policy import Network, Proxy, parse_networks
from hookline.errors import HooklineError
from hookline.server.durations import parse_duration

DEFAULT_ORG: Final = "org_00000000000000000000000001"
"""The organization that tokens and API keys belong to when none is named."""

_WILDCARD_HOSTS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 -- names them, binds nothing


class Role(StrEnum):
    """What this node does. Every role answers health checks."""

    ALL = "all"
    API = "api"  # accepts and manages; leaves delivering to others
    WORKER = "worker"  # delivers, retries, rescues


class LogFormat(StrEnum):
    AUTO = "auto"  # text on a terminal, JSON otherwise
    JSON = "json"
    TEXT = "text"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def _lower(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


def _read_database_url(value: Any) -> Any:
    text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    text = text.strip()
    if text.startswith("postgres://"):
        text = "postgresql" + text.removeprefix("postgres")
    if text.startswith("sqlite:///") and text != "sqlite:///":
        return text
    if text.startswith("postgresql://"):
        return text
    raise ValueError("must be sqlite:///PATH or postgresql://USER:PASSWORD@HOST/DATABASE")


def _read_schedule(value: Any) -> Any:
    if isinstance(value, str):
        parts = [part for part in value.replace(",", " ").split() if part]
        return tuple(parse_duration(part) for part in parts) or None
    return value


def _read_notifiers(value: Any) -> Any:
    text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    try:
        entries = json.loads(text)
    except ValueError:
        entries = None
    if not isinstance(entries, dict) or not all(
        re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name) and _are_addresses(addresses) for name, addresses in entries.items()
    ):
        raise ValueError('must be JSON such as {"team": "mailto://...", "on-call": ["slack://...", "pagerduty://..."]}')
    return text


def _are_addresses(value: Any) -> bool:
    addresses = [value] if isinstance(value, str) else value
    return isinstance(addresses, list) and all(isinstance(one, str) and "://" in one for one in addresses)


def _read_period(value: Any) -> Any:
    if isinstance(value, str):
        return 0.0 if value.strip().lower() == "off" else parse_duration(value)
    return value


def _read_networks(value: Any) -> Any:
    try:
        return parse_networks(value if isinstance(value, str) else [str(entry) for entry in value])
    except HooklineError as error:  # no ValueError: it would go past pydantic, without the setting's name
        raise ValueError(str(error)) from error


def _read_url(value: Any) -> Any:
    text = str(value).strip().rstrip("/")
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be an address such as https://hooks.example.com, without query or fragment")
    return text


def _read_backend(value: Any) -> Any:
    text = str(value).strip()
    if text.lower() == "echo":
        return "echo"
    if "@" in urlsplit(text).netloc:
        raise ValueError("must have no user or password; the key has a setting of its own")
    try:
        return _read_url(text)
    except ValueError:
        raise ValueError("must be echo, or a base URL such as http://127.0.0.1:11434/v1, without query") from None


def _read_proxy(value: Any) -> Any:
    text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    try:
        Proxy.parse(text)
    except HooklineError as error:
        raise ValueError("must be http://HOST:PORT or http://USER:PASSWORD@HOST:PORT") from error
    return text


def _read_file(value: Any) -> Any:
    path = Path(value)
    if not path.is_file():
        raise ValueError("must name a file that exists and can be read")
    return path


def _default_public_url(data: dict[str, Any]) -> str:
    host = data.get("host", "127.0.0.1")
    host = _WILDCARD_HOSTS.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{data.get('port', 8071)}"


Networks = Annotated[tuple[Network, ...], BeforeValidator(_read_networks)]
Schedule = Annotated[tuple[Annotated[float, Field(ge=0, le=2_592_000)], ...], Field(max_length=100)]


class Settings(BaseSettings):
    """Everything that an operator can set. Secrets are masked in every repr."""

    model_config = SettingsConfigDict(
        env_prefix="HOOKLINE_",
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is passed in; `environment.load_settings` adds the source that reads from outside."""
        return (init_settings,)

    database_url: Annotated[SecretStr, BeforeValidator(_read_database_url)] = SecretStr("sqlite:///hookline.db")
    """Where everything is kept: sqlite:///PATH (sqlite:////PATH is absolute) or
    postgresql://USER:PASSWORD@HOST/DATABASE. DATABASE_URL is read as well."""
    encryption_key: SecretStr | None = None
    """Keys that seal endpoint secrets and headers at rest: ID:BASE64, several separated by commas; the first one
    seals, all open. Required on PostgreSQL, the same on every node; generated beside the database on SQLite."""
    jwt_secret: Annotated[SecretStr, Field(min_length=32)] | None = None
    """What signs access tokens, 32 characters or more. Required on PostgreSQL, the same on every node; generated
    beside the database on SQLite."""

    host: str = Field(default="127.0.0.1", min_length=1)
    """The address to listen on; 0.0.0.0 for every IPv4 address of the machine, :: for every address."""
    port: int = Field(default=8071, ge=0, le=65_535)
    """The TCP port to listen on; 0 lets the system choose. PORT is read as well."""
    public_url: Annotated[str, BeforeValidator(_read_url)] = Field(default_factory=_default_public_url)
    """How others reach this server; links and Location headers begin with it. By default http://HOST:PORT."""
    portal_url: Annotated[str, BeforeValidator(_read_url)] | None = None
    """Where links for customers lead, with their token in the fragment (#token=...). Empty: this server's /docs."""
    role: Annotated[Role, BeforeValidator(_lower)] = Role.ALL
    """What this node does: all, api (accepts, does not deliver) or worker (delivers)."""
    default_org: str = Field(default=DEFAULT_ORG, pattern=r"^org_[A-Za-z0-9_-]{1,64}$")
    """The organization that tokens and API keys belong to when none is named."""

    retry_schedule: Annotated[Schedule | None, BeforeValidator(_read_schedule)] = None
    """Waiting times before each retry, separated by commas: seconds, or 5s, 5m, 2h. "1,1" makes three attempts.
    Replaces the schedule of the standard and cloudevents dialects. Empty: each dialect's own."""
    request_timeout_s: float | None = Field(default=None, ge=0.1, le=300)
    """Seconds that one delivery attempt may take in all, from the name look-up to the last byte of the answer.
    Empty: as the endpoint or its dialect says, 15 for the standard one."""
    retry_after_cap_s: float = Field(default=86_400.0, ge=0, le=2_592_000)
    """Seconds: the longest wait that a receiver can ask for with Retry-After."""

    egress_allow: Networks = ()
    """Networks that deliveries may reach although they are not public, as CIDRs separated by commas, for example
    127.0.0.0/8,::1/128. Plain http is permitted to them."""
    egress_deny: Networks = ()
    """Networks that deliveries must never reach, as CIDRs separated by commas. Beats egress_allow."""
    egress_allow_http: bool = False
    """Permit plain http to every public host. Payloads then travel unencrypted."""
    egress_proxy: Annotated[SecretStr, BeforeValidator(_read_proxy)] | None = None
    """A CONNECT proxy that all deliveries go through: http://HOST:PORT. HTTPS_PROXY is never read."""
    egress_ca_file: Annotated[Path, BeforeValidator(_read_file)] | None = None
    """A PEM file with certificate authorities to trust beside the system's own."""

    max_payload_bytes: int = Field(default=1_048_576, ge=1, le=67_108_864)
    """Bytes: the largest payload that is accepted."""
    response_excerpt_bytes: int = Field(default=16_384, ge=0, le=65_536)
    """Bytes of each answer's body that are kept with the attempt."""
    retention_days: int = Field(default=90, ge=1, le=36_500)
    """Days after which messages and attempts are removed. What is still owed stays."""
    payload_retention_days: int | None = Field(default=None, ge=1, le=36_500)
    """Days after which payloads are emptied, if sooner than retention_days. What they still owe is canceled."""

    receive_timeout_s: float = Field(default=60.0, ge=0.1, le=3600)
    """Seconds that a caller may take to send one request, or to go on reading its answer."""

    lease_s: float = Field(default=15.0, ge=1, le=600)
    """Seconds without a sign of life after which other nodes take over what a node owed."""
    shutdown_grace_s: float = Field(default=25.0, ge=0, le=3600)
    """Seconds that requests in flight get to end when the server is told to stop."""
    lane_concurrency: int = Field(default=128, ge=1, le=10_000)
    """Requests in flight to one endpoint."""
    max_in_flight: int = Field(default=2048, ge=1, le=100_000)
    """Requests in flight in all, on this node."""
    claim_poll_s: float = Field(default=1.0, ge=0.01, le=60)
    """Seconds between looks at the database for due deliveries when no wake-up came."""
    breaker_failures: int = Field(default=10, ge=1, le=1_000_000)
    """Failures in a row after which an endpoint is only probed, once it failed for breaker_failing_s as well."""
    breaker_failing_s: float = Field(default=60.0, ge=0, le=86_400)
    """Seconds for which an endpoint must have failed before it is only probed."""

    endpoint_disable_after: Annotated[float, BeforeValidator(_read_period), Field(ge=0, le=31_536_000)] = 432_000.0
    """How long an endpoint may do nothing but fail before it is disabled: seconds, or 12h, 5d; 0 or off: for ever.
    An organization can have its own."""

    openai_backend: Annotated[str, BeforeValidator(_read_backend)] | None = None
    """What answers OpenAI's requests for responses and chat completions: the base URL of an OpenAI-compatible server
    (vLLM, Ollama, llama.cpp), such as http://127.0.0.1:11434/v1, or echo for the embedded one. Empty: nothing does."""
    openai_backend_key: SecretStr | None = None
    """The key for that server, sent as Authorization: Bearer."""
    openai_backend_concurrency: int = Field(default=16, ge=1, le=1_000)
    """Background responses that one node asks the backend for at once."""
    openai_backend_timeout_s: float = Field(default=600.0, ge=0.1, le=86_400)
    """Seconds that the backend may take for one answer, to its last byte."""
    openai_backend_attempts: int = Field(default=5, ge=1, le=100)
    """How often a background response is tried before it has failed."""
    openai_most_queued: int = Field(default=10_000, ge=1, le=1_000_000)
    """Background responses of one application that may be queued or in progress."""
    openai_response_retention: Annotated[float, BeforeValidator(_read_period), Field(ge=600, le=31_536_000)] = 86_400.0
    """How long background responses are kept after their end: seconds, or 12h, 5d."""

    notifiers: Annotated[SecretStr, BeforeValidator(_read_notifiers)] | None = None
    """How people are told of alerts: JSON, a name and an address of the library apprise, or several, such as
    {"team": "mailto://USER:PASSWORD@example.com"}. Needs the extra [alerts]."""

    log_level: Annotated[LogLevel, BeforeValidator(_lower)] = LogLevel.INFO
    """debug, info, warning or error. LOG_LEVEL is read as well."""
    log_format: Annotated[LogFormat, BeforeValidator(_lower)] = LogFormat.AUTO
    """json (one object a line), text, or auto: text on a terminal, JSON otherwise."""
    metrics_enabled: bool = True
    """Serve /metrics."""
    docs_enabled: bool = True
    """Serve the API's documentation at /docs and its description at /openapi.json."""

    @property
    def notifier_addresses(self) -> dict[str, tuple[str, ...]]:
        """The addresses of each notifier. They carry credentials."""
        entries = json.loads(self.notifiers.get_secret_value()) if self.notifiers is not None else {}
        return {
            name: (addresses,) if isinstance(addresses, str) else tuple(addresses)
            for name, addresses in entries.items()
        }

    @property
    def is_postgres(self) -> bool:
        return self.database_url.get_secret_value().startswith("postgresql://")
