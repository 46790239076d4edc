"""`hookline config`: the effective settings with their origins, and a file to begin with."""

# ruff: noqa: PLC0415 -- settings are imported when a command runs

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import typer

from hookline.cli.output import DatabaseOption, JsonOption, print_json, print_note, print_table, print_text

if TYPE_CHECKING:
    from hookline.server.settings import Settings

app = typer.Typer(help="Show settings.", no_args_is_help=True, rich_markup_mode=None)


@app.command("show")
def show_config(*, database: DatabaseOption = None, json: JsonOption = False) -> None:
    """Show every setting, its value, and where the value came from. Secrets are masked."""
    from hookline.server.environment import load_settings, variable_of

    loaded = load_settings({"database_url": database})
    for warning in loaded.warnings:
        print_note(warning)
    values = show_values(loaded.settings)
    if json:
        print_json(
            {
                name: {"value": value, "origin": loaded.origins[name].kind, "name": loaded.origins[name].name}
                | {"variable": variable_of(name)}
                for name, value in values.items()
            }
        )
        return
    print_table(
        ("variable", "value", "origin"),
        [(variable_of(name), _format(value), str(loaded.origins[name])) for name, value in values.items()],
    )


@app.command("template")
def print_template() -> None:
    """Print an environment file with every setting: what it is for, and its default."""
    from hookline.server.environment import SECRET_FIELDS, variable_of
    from hookline.server.settings import Settings

    defaults = show_values(Settings())
    for name, field in Settings.model_fields.items():
        text = " ".join((field.description or "").split())
        if name in SECRET_FIELDS:
            text += f" Or {variable_of(name)}_FILE, the path of a file that holds it."
        print_text("\n".join(textwrap.wrap(text, 100, initial_indent="# ", subsequent_indent="# ")))
        print_text(f"#{variable_of(name)}={_format(defaults[name])}\n")


def show_values(settings: Settings) -> dict[str, Any]:
    """The settings as plain JSON values, secrets masked."""
    from hookline.server.masking import mask_secret, mask_url

    values = settings.model_dump(mode="json")
    values["database_url"] = mask_url(settings.database_url.get_secret_value())
    if settings.egress_proxy is not None:
        values["egress_proxy"] = mask_url(settings.egress_proxy.get_secret_value())
    for name in ("encryption_key", "jwt_secret"):
        secret = getattr(settings, name)
        values[name] = None if secret is None else mask_secret(secret.get_secret_value())
    if settings.notifiers is not None:
        values["notifiers"] = ", ".join(f"{name}: ***" for name in settings.notifier_addresses)
    return values


def _format(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(_format(entry) for entry in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
