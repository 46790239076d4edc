"""The table of commands, and how a run of one of them ends."""

from __future__ import annotations

import sys

import typer

from hookline.cli import (
    alert,
    catalog,
    config,
    import_svix,
    key,
    migrate,
    openapi,
    secret,
    send,
    serve,
    task,
    token,
    verify,
    version,
)

# Plain help instead of the decorated one: it needs half the time, and reads the same in a pipe.
app = typer.Typer(
    name="hookline",
    help="Send, manage and receive webhooks.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("serve")(serve.serve)
app.command("migrate")(migrate.migrate)
app.add_typer(key.app, name="key")
app.command("token")(token.create_token)
app.command("send")(send.send)
app.command("verify")(verify.verify_request)
app.add_typer(task.app, name="task")
app.add_typer(import_svix.app, name="import")
app.add_typer(config.app, name="config")
app.add_typer(alert.app, name="alert")
app.add_typer(catalog.app, name="catalog")
app.add_typer(secret.app, name="secret")
app.command("openapi")(openapi.print_openapi)
app.command("version")(version.show_version)


def run(arguments: list[str]) -> int:
    """Run a command line; the exit code. A wrong one is one line on standard error, and code 2."""
    try:
        code = app(arguments, prog_name="hookline", standalone_mode=False)
    except typer.TyperException as error:
        return _explain_usage(error)
    except typer.Abort:
        print("hookline: canceled", file=sys.stderr)  # noqa: T201
        return 1
    return code if isinstance(code, int) else 0


def _explain_usage(error: typer.TyperException) -> int:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "hookline"
    message = error.format_message()
    if not message or type(error).__name__ == "NoArgsIsHelpError":
        print(context.get_help() if context is not None else message)  # noqa: T201
        return error.exit_code
    print(f"{path}: {' '.join(message.split())} Try '{path} --help'.", file=sys.stderr)  # noqa: T201
    return error.exit_code
