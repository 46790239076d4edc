"""The one root exception. Every error of Hookline carries a machine `code` and a message that says what to do next."""

from __future__ import annotations


class HooklineError(Exception):
    """Root of every error that Hookline raises on purpose.

    `code` is stable and meant for programs; the message is meant for people.
    """

    code: str = "hookline_error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code

    @property
    def message(self) -> str:
        return str(self.args[0])
