"""From an application's JSON to the services' form."""

from __future__ import annotations

from hookline.server.surfaces.svix.shapes import ApplicationIn
from hookline.services import ApplicationForm


def read_application_form(body: ApplicationIn) -> ApplicationForm:
    """A form for a new application, or for one whose every member is said anew."""
    rate = body.throttle_rate if body.throttle_rate is not None else body.rate_limit
    return ApplicationForm(body.name, body.uid, rate, body.metadata or {})
