"""The JSON of alert rules, in and out. Hookline's own; Svix has none."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hookline.server.surfaces.svix.shape import Shape

_APP = Field(description="One application, by id or uid; null: the whole organization.")
_WINDOW = Field(description="Seconds that a failure rate and a number of exhausted deliveries look back. 60 to 86400.")
_LEAST = Field(description="How many attempts a failure rate needs to mean anything.")
_NOTIFY = Field(description="Names of the operator's notifiers.")
_RENOTIFY = Field(description="Seconds after which people are told again while it lasts; null: once.")


class AlertRuleFields(Shape):
    """What creation, replacement and partial update have in common."""

    app_id: Annotated[str | None, _APP] = None
    window_s: Annotated[int | None, _WINDOW] = None
    least: Annotated[int | None, _LEAST] = None
    notify: Annotated[list[str] | None, _NOTIFY] = None
    renotify_s: Annotated[int | None, _RENOTIFY] = None
    enabled: bool | None = None


class AlertRuleIn(AlertRuleFields):
    name: str
    kind: Annotated[str, Field(description="failure_rate, oldest_waiting, endpoint_disabled or exhausted.")]
    threshold: Annotated[float, Field(description="It fires at this value: a share, seconds, or a number.")]


class AlertRulePatch(AlertRuleFields):
    name: str | None = None
    kind: str | None = None
    threshold: float | None = None


class AlertRuleOut(Shape):
    """`state` is `ok` or `firing`, since `since`; `value` is what was measured then, null before the first change."""

    id: str
    app_id: str | None
    name: str
    kind: str
    threshold: float
    window_s: int
    least: int
    notify: list[str]
    renotify_s: int | None
    enabled: bool
    state: str
    value: float | None
    since: str
    created_at: str
    updated_at: str
