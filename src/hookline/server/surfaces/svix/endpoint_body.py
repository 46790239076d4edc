"""From an endpoint's JSON to the services' form: for creation, for replacement, for partial update."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from hookline.model import Endpoint
from hookline.server.surfaces.svix.auth_shapes import AuthIn, ClientCertificateIn, read_auth, read_certificate
from hookline.server.surfaces.svix.shapes import EndpointFields, EndpointIn, EndpointPatch, PolicyShape
from hookline.services import EndpointForm, PolicyForm
from hookline.services.errors import invalid

_RENAMED: Final = {"rate_limit": "throttle_rate", "filter_types": "event_types"}

# What a member that is null, or a replacement that leaves it out, means.
_EMPTY: Final[dict[str, Any]] = {
    "description": "",
    "uid": None,
    "version": 1,
    "event_types": None,
    "channels": None,
    "disabled": False,
    "throttle_rate": None,
    "metadata": {},
    "secret": None,
    "headers": {},
    "dialect": "standard",
    "options": {},
    "policy": None,
    "ordered": False,
    "paused": False,
    "filter": None,
    "ordered_by": None,
    "auth": None,
    "client_certificate": None,
    "ca_pem": None,
    "transform": None,
}
# What clients of the Svix API cannot say, or say elsewhere: a replacement keeps it unless it is given.
_KEPT: Final = frozenset({"headers", "dialect", "options", "policy", "ordered", "paused", "filter", "ordered_by"}) | {
    *("auth", "client_certificate", "ca_pem", "transform"),
}


def read_created(body: EndpointIn) -> EndpointForm:
    """A form for a new endpoint."""
    return msgspec.structs.replace(EndpointForm(body.url), **_stated(body))


def read_replaced(endpoint: Endpoint, body: EndpointIn) -> EndpointForm:
    """A form for an endpoint whose every member is said anew, but for those that stay by themselves."""
    defaults = {name: value for name, value in _EMPTY.items() if name not in _KEPT}
    return msgspec.structs.replace(EndpointForm.of(endpoint), **{**defaults, **_stated(body)})


def read_patched(endpoint: Endpoint, body: EndpointPatch) -> EndpointForm:
    """A form in which only what the body says is new."""
    return msgspec.structs.replace(EndpointForm.of(endpoint), **_stated(body))


def _stated(body: EndpointFields) -> dict[str, Any]:
    """The members that the body has, in the form's words."""
    stated: dict[str, Any] = {}
    # Older names first, so that the newer one wins where a client sends both.
    for name in sorted(body.model_fields_set, key=lambda name: name not in _RENAMED):
        member = _RENAMED.get(name, name)
        value = getattr(body, name)
        stated[member] = _EMPTY[member] if value is None and member in _EMPTY else _converted(value)
    if "url" in stated and stated["url"] is None:
        raise invalid("url", "An endpoint has a URL. Leave the member out to keep it.")
    return stated


def _converted(value: Any) -> Any:
    if isinstance(value, PolicyShape):
        members = value.model_dump()
        schedule = members["schedule_s"]
        return PolicyForm(**{**members, "schedule_s": None if schedule is None else tuple(schedule)})
    if isinstance(value, AuthIn):
        return read_auth(value)
    if isinstance(value, ClientCertificateIn):
        return read_certificate(value)
    return tuple(value) if isinstance(value, list) else value
