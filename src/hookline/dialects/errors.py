"""The one exception of this room."""

from __future__ import annotations

from hookline.errors import HooklineError


class DialectError(HooklineError):
    """An endpoint that its dialect cannot serve, or a message that it cannot put into a request.

    Of the endpoint (from `get_dialect`, `check_options`, `prepare`): `unknown_dialect`, `unknown_option`,
    `invalid_option`, `invalid_header`, `secret_required`, `invalid_secret`. `field` names the part of the endpoint,
    for example `options.mode`.

    Of one message (from `build`; trying again changes nothing): `payload_expired`, `payload_unsuitable`,
    `malformed_id`, `malformed_event_type`. And `no_live_secret`, which heals as soon as the endpoint gets a secret.
    """

    code = "dialect_error"

    def __init__(self, message: str, *, code: str, field: str | None = None) -> None:
        super().__init__(message, code=code)
        self.field = field
