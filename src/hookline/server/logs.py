"""Logging of a server process: structlog over the standard library, JSON lines or text, secrets masked.

All rooms log through `logging.getLogger("hookline....")` with `extra={...}`, or through structlog; both end in the one
handler that `configure_logging` installs. Nothing of this happens on import: who embeds Hookline keeps their own.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import IO, Any, Final

import structlog

from hookline.server.masking import mask_text, mask_value
from hookline.server.settings import LogFormat, LogLevel

_OURS: Final = frozenset({"event", "level", "logger", "timestamp"})
_NOISY_LOGGERS: Final = ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncio")


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A processor: masks values under secret-bearing names, and secrets inside texts."""
    for name, value in event.items():
        event[name] = mask_text(str(value)) if name in _OURS else mask_value(name, value)
    return event


def configure_logging(
    log_format: LogFormat = LogFormat.AUTO, log_level: LogLevel = LogLevel.INFO, stream: IO[str] | None = None
) -> None:
    """Send every log line of the process to `stream` (standard output), as JSON or as text."""
    output = sys.stdout if stream is None else stream
    is_text = log_format is LogFormat.TEXT or (log_format is LogFormat.AUTO and output.isatty())
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    # Tracebacks become text before the redaction: an exception's message may hold what was passed to it.
    last: list[structlog.types.Processor] = [structlog.processors.format_exc_info, redact]
    last += (
        [structlog.dev.ConsoleRenderer(colors=output.isatty())] if is_text else [structlog.processors.JSONRenderer()]
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(log_level.upper())
    for name in _NOISY_LOGGERS:  # their own handlers would print each line a second time
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
