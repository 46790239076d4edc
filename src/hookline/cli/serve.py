"""`hookline serve`: run a node of the server until it is told to stop."""

# ruff: noqa: PLC0415 -- the server is imported when the command runs

from __future__ import annotations

import errno
import logging
import socket
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from hookline import __version__
from hookline.cli.output import DatabaseOption
from hookline.errors import HooklineError

if TYPE_CHECKING:
    from hookline.server.settings import Settings


class StartError(HooklineError):
    """The server cannot begin to serve."""

    code = "start"


_LISTEN_ERRORS = frozenset({errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES, errno.EAFNOSUPPORT})


class RoleName(StrEnum):
    """The roles as the command line spells them; `settings.Role` without importing the settings for --help."""

    ALL = "all"
    API = "api"
    WORKER = "worker"


def serve(
    *,
    host: Annotated[str | None, typer.Option("--host", help="The address to listen on. [127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option("--port", help="The port to listen on. [8071]")] = None,
    database: DatabaseOption = None,
    role: Annotated[
        RoleName | None, typer.Option("--role", help="all, api (does not deliver) or worker (delivers). [all]")
    ] = None,
    public_url: Annotated[str | None, typer.Option("--public-url", help="How others reach this server.")] = None,
    log_level: Annotated[str | None, typer.Option("--log-level", help="debug, info, warning or error.")] = None,
) -> None:
    """Run the server: API and deliveries.

    The database's schema is brought up to date first, on PostgreSQL by one node at a time. SIGTERM and Ctrl-C stop it
    gracefully: requests in flight may end, and what is left goes on after the next start.
    """
    from hookline.server.environment import load_settings
    from hookline.server.logs import configure_logging
    from hookline.server.run import run

    loaded = load_settings(
        {
            "host": host,
            "port": port,
            "database_url": database,
            "role": None if role is None else role.value,
            "public_url": public_url,
            "log_level": log_level,
        }
    )
    settings = loaded.settings
    configure_logging(settings.log_format, settings.log_level)
    log = logging.getLogger("hookline.server")
    for warning in loaded.warnings:
        log.warning(warning, extra={"action": "settings"})
    log.info("starting", extra={"action": "starting", **describe(settings)})
    try:
        run(settings)
    except OSError as error:
        if not isinstance(error, socket.gaierror) and error.errno not in _LISTEN_ERRORS:
            raise
        raise StartError(
            f"Cannot listen on {settings.host}, port {settings.port} ({error.strerror or error}). "
            "Choose another one with --port or --host."
        ) from error


def describe(settings: Settings) -> dict[str, object]:
    """What the first line of the log says of a server: its version, database (password masked), address and role."""
    from hookline.server.masking import mask_url

    return {
        "version": __version__,
        "database": mask_url(settings.database_url.get_secret_value()),
        "public_url": settings.public_url,
        "role": settings.role.value,
    }
