"""What the engine can say to somebody who wants to send."""

from __future__ import annotations

from hookline.errors import HooklineError


class EngineError(HooklineError):
    """Root of the engine's errors."""

    code = "engine_error"


class OverloadedError(EngineError):
    """More is asked of the engine at this moment than it will hold: messages that wait for their commit, say. Nothing
    was kept; try again in a second.
    """

    code = "overloaded"


class StoppingError(EngineError):
    """The engine is stopping or not started. Nothing was kept; try another node, or again in a moment."""

    code = "stopping"


class UnknownApplicationError(EngineError):
    """The application does not exist, or not any more."""

    code = "unknown_application"
