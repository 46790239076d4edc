"""Where settings come from: command line, then environment variable, then the file a variable names, then default.

A field `port` is read from `HOOKLINE_PORT`. Each secret may stand in a file instead, as container platforms mount
them: `HOOKLINE_JWT_SECRET_FILE=/run/secrets/jwt`. A `.env` file is never read. Everything is read once, so that a
secret may come through a pipe, and it is remembered where each value came from. Empty variables count as not set.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from hookline.errors import HooklineError
from hookline.server.settings import Settings

PREFIX: Final = "HOOKLINE_"
FILE_SUFFIX: Final = "_FILE"
FALLBACK_VARIABLES: Final = {"database_url": "DATABASE_URL", "port": "PORT", "log_level": "LOG_LEVEL"}
"""Names without our prefix that platforms set; our own name wins."""
OTHER_VARIABLES: Final = frozenset(
    {"HOOKLINE_URL", "HOOKLINE_TOKEN", "HOOKLINE_WEBHOOK_SECRET", "HOOKLINE_CRASH_AT", "HOOKLINE_HYPOTHESIS_PROFILE"}
)
"""Variables of the command line and of the tests: ours, but no settings of the server."""
_TEST_PREFIX: Final = "HOOKLINE_TEST_"
_MAX_FILE_BYTES: Final = 65_536

_REWORDED: Final = {
    "Value error, ": "",
    "Input should be": "must be",
    "String should": "must",
    "Value should have at least 32 items after validation": "must have at least 32 characters",
    "Extra inputs are not permitted": "no such setting",
}

SECRET_FIELDS: Final = frozenset(
    name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)
)


class SettingsError(HooklineError):
    """A setting is missing or cannot be used; the message names it and says what it must be."""

    code = "settings"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from: `default`, `environment`, `file` or `command line`. `name` is the variable or option."""

    kind: str
    name: str | None = None

    def __str__(self) -> str:
        return self.kind if self.name is None else f"{self.kind}: {self.name}"


DEFAULT: Final = Origin("default")


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The settings, the origin of each field, and sentences that the operator should read."""

    settings: Settings
    origins: Mapping[str, Origin]
    warnings: tuple[str, ...]


def load_settings(
    overrides: Mapping[str, Any] | None = None, *, environ: Mapping[str, str] | None = None
) -> LoadedSettings:
    """Build the settings of this process.

    Args:
        overrides: What the command line says, by field name; None counts as not given.
        environ: The environment, `os.environ` by default.

    Raises:
        SettingsError: a value cannot be used, a file cannot be read, or a setting is given twice.
    """
    environment = os.environ if environ is None else environ
    source = VariableSource(Settings, environment)
    values = source()
    origins = {**dict.fromkeys(Settings.model_fields, DEFAULT), **source.origins}
    for name, value in (overrides or {}).items():
        if value is not None:
            values[name], origins[name] = value, Origin("command line", f"--{name.replace('_', '-')}")
    try:
        settings = Settings(**values)
    except ValidationError as error:
        raise SettingsError(_describe(error, values, origins)) from None  # the cause repeats values, secret ones too
    return LoadedSettings(settings, origins, tuple(_find_unknown(environment)))


class VariableSource(PydanticBaseSettingsSource):
    """Reads each field from its variable, from the file that its `_FILE` variable names, or from a fallback.

    `origins` says of each field that was found where it came from.
    """

    def __init__(self, settings_cls: type[BaseSettings], environ: Mapping[str, str]) -> None:
        super().__init__(settings_cls)
        self._environ = environ
        self.origins: dict[str, Origin] = {}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        found = _find(field_name, self._environ)
        if found is None:
            return None, field_name, False
        self.origins[field_name] = found[1]
        return found[0], field_name, False

    def __call__(self) -> dict[str, Any]:
        found = {name: self.get_field_value(field, name)[0] for name, field in Settings.model_fields.items()}
        return {name: value for name, value in found.items() if name in self.origins}


def variable_of(field: str) -> str:
    """The environment variable of a field."""
    return PREFIX + field.upper()


def _find(field: str, environ: Mapping[str, str]) -> tuple[str, Origin] | None:
    variable = variable_of(field)
    file_variable = variable + FILE_SUFFIX
    value = environ.get(variable) or ""
    path = (environ.get(file_variable) or "") if field in SECRET_FIELDS else ""
    if value and path:
        raise SettingsError(f"{variable} and {file_variable} are both set. Unset one of them.")
    if path:
        return _read_secret(file_variable, path), Origin("file", f"{file_variable}={path}")
    if value:
        return value, Origin("environment", variable)
    fallback = FALLBACK_VARIABLES.get(field)
    if fallback and environ.get(fallback):
        return environ[fallback], Origin("environment", fallback)
    return None


def _read_secret(variable: str, path: str) -> str:
    # Failure policy: closed. A secret that was meant to be there and is not must not become a generated one.
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise SettingsError(
            f"{variable}: cannot read {path} ({error.strerror}). Correct the path or the file's permissions."
        ) from error
    if len(content) > _MAX_FILE_BYTES:
        raise SettingsError(f"{variable}: {path} is larger than {_MAX_FILE_BYTES} bytes. Name the file of the secret.")
    try:
        text = content.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise SettingsError(f"{variable}: {path} is not UTF-8 text. Write the secret in its text form.") from None
    if not text:
        raise SettingsError(f"{variable}: {path} is empty. Write the secret into it, or unset {variable}.")
    return text


def _describe(error: ValidationError, values: Mapping[str, Any], origins: Mapping[str, Origin]) -> str:
    """One line for all that is wrong, without the values of secrets."""
    sentences: dict[str, str] = {}
    for problem in error.errors(include_url=False, include_context=False):
        field = str(problem["loc"][0])
        if problem["type"] == "default_factory_not_called":  # only says that another field is wrong
            continue
        origin = origins.get(field, DEFAULT)
        where = (origin.name or variable_of(field)).partition("=")[0]
        if field in values and field not in SECRET_FIELDS:
            where += f"={values[field]}"
        message = problem["msg"]
        for pydantic_words, our_words in _REWORDED.items():
            message = message.replace(pydantic_words, our_words)
        sentences.setdefault(field, f"{where}: {message.removesuffix('.')}.")
    return " ".join(sentences.values())


def _find_unknown(environ: Mapping[str, str]) -> list[str]:
    settings = {variable_of(field) for field in Settings.model_fields}
    settings |= {variable_of(field) + FILE_SUFFIX for field in SECRET_FIELDS}
    # Compared without the prefix: it would make every name look like every other one.
    names = sorted(name.removeprefix(PREFIX) for name in settings)
    warnings = []
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name.startswith(_TEST_PREFIX) or name in settings | OTHER_VARIABLES:
            continue
        nearest = difflib.get_close_matches(name.removeprefix(PREFIX), names, n=1)
        hint = f"Did you mean {PREFIX}{nearest[0]}?" if nearest else "`hookline config show` lists what there is."
        warnings.append(f"{name} is no setting and has no effect. {hint}")
    return warnings
