"""Webhook endpoints as the OpenAI platform has them: a name, a URL, event types, and the `openai` dialect.

They are ordinary endpoints, with `description` for their name, so whatever sends, retries and lists knows them. Only
those of the `openai` dialect are seen here. Limits are the platform's (its API description, webhook endpoints).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import orjson

from hookline.clock import Clock
from hookline.egress import Failure
from hookline.engine import Trial
from hookline.model import Endpoint, Message, ids
from hookline.model.openai_events import OPENAI_EVENTS, SUBSCRIBABLE
from hookline.services.endpoint_form import EndpointForm
from hookline.services.endpoints import Endpoints
from hookline.services.errors import BadRequestError, InvalidError, NotFoundError, invalid
from hookline.services.event_types import EventTypes
from hookline.services.principal import Principal
from hookline.services.validation import MAX_EVENT_TYPES, Findings, is_text
from hookline.store.protocol import Page
from hookline.store.scope import AppScope

DIALECT: Final = "openai"
MAX_NAME_LENGTH: Final = 256
MAX_URL_LENGTH: Final = 2_048
GRACE_S: Final = 86_400  # of the old secret, when it is to stay
PAGE: Final = 250  # looked at in one step of a list


class UnreachableError(BadRequestError):
    """The endpoint gave no HTTP answer to a test."""

    code = "webhook_endpoint_unreachable"


class WebhookForm(msgspec.Struct, frozen=True):
    """What a caller says about a webhook endpoint. In an update, None leaves as it is."""

    name: str | None = None
    url: str | None = None
    event_types: tuple[str, ...] | None = None


class OpenAIEndpoints:
    """Creates, reads, changes, tries and deletes them, one application at a time."""

    def __init__(self, endpoints: Endpoints, event_types: EventTypes, trial: Trial, clock: Clock) -> None:
        self._endpoints = endpoints
        self._event_types = event_types
        self._trial = trial
        self._clock = clock

    async def create(self, principal: Principal, scope: AppScope, form: WebhookForm) -> Endpoint:
        """A new one; its secret is generated.

        Raises:
            InvalidError: a member is missing or breaks a rule.
            LimitReachedError: a customer wants one more than customers may have.
        """
        findings = Findings()
        for name in ("name", "url", "event_types"):
            if getattr(form, name) is None:
                findings.add(name, f"Missing required parameter: '{name}'.", "missing_required_parameter")
        findings.finish()
        await self._check(principal, form)
        wanted = EndpointForm(
            form.url or "", description=form.name or "", event_types=form.event_types, dialect=DIALECT
        )
        try:
            return await self._endpoints.create(scope, wanted, principal=principal)
        except InvalidError as error:
            raise _renamed(error) from error

    async def get(self, scope: AppScope, endpoint_id: str) -> Endpoint:
        """Raises NotFoundError."""
        endpoint = await self._endpoints.get(scope, endpoint_id)
        if endpoint.dialect != DIALECT:
            raise NotFoundError
        return endpoint

    async def list_page(self, scope: AppScope, limit: int, after: str | None) -> tuple[list[Endpoint], bool]:
        """At most `limit`, newest first, after the one with the id `after`; and whether there are more.

        Raises:
            InvalidError: `after` is no id.
        """
        if after is not None and not ids.is_id(after, ids.ENDPOINT):
            raise invalid("after", "Not the id of a webhook endpoint.", place="query")
        found: list[Endpoint] = []
        while True:
            page = await self._endpoints.list_page(scope, Page(PAGE, after=after))
            found += [endpoint for endpoint in page.rows if endpoint.dialect == DIALECT]
            if len(found) > limit or page.done or not page.rows:
                return found[:limit], len(found) > limit
            after = page.last_seen or page.rows[-1].id

    async def update(self, principal: Principal, scope: AppScope, endpoint_id: str, form: WebhookForm) -> Endpoint:
        """Replace what the form says; an update that changes nothing leaves no trace.

        Raises:
            NotFoundError: there is no such endpoint.
            InvalidError: a member breaks a rule.
        """
        await self._check(principal, form)
        endpoint = await self.get(scope, endpoint_id)
        if _patched(endpoint, form) == EndpointForm.of(endpoint):
            return endpoint
        try:
            return await self._endpoints.update(scope, endpoint.id, lambda current: _patched(current, form))
        except InvalidError as error:
            raise _renamed(error) from error

    async def delete(self, scope: AppScope, endpoint_id: str) -> None:
        """Raises NotFoundError."""
        await self._endpoints.delete(scope, (await self.get(scope, endpoint_id)).id)

    async def rotate_secret(self, scope: AppScope, endpoint_id: str, *, keep_old: bool) -> Endpoint:
        """Sign with a new secret; with `keep_old` the old one signs beside it for a day.

        Raises:
            NotFoundError: there is no such endpoint.
            LimitReachedError: too many old secrets are still in use.
        """
        endpoint = await self.get(scope, endpoint_id)
        return await self._endpoints.rotate_secret(scope, endpoint.id, grace_s=GRACE_S if keep_old else 0)

    async def test(self, scope: AppScope, endpoint_id: str, event_type: str) -> int:
        """Send an example of an event now; the HTTP status that the endpoint answered with.

        Raises:
            NotFoundError: there is no such endpoint.
            InvalidError: there is no example of this event.
            UnreachableError: it gave no HTTP answer.
            OverloadedError: too many are tried at this moment.
        """
        endpoint = await self.get(scope, endpoint_id)
        event = OPENAI_EVENTS.get(event_type)
        if event is None or not event.subscribable:
            raise invalid("event_type", f"There is no example of this event. Use one of {', '.join(SUBSCRIBABLE)}.")
        message = Message(
            id=ids.new_id(ids.MESSAGE),
            org_id=scope.org_id,
            app_id=scope.app_id,
            event_type=event_type,
            payload=orjson.dumps(event.example),
            targets=(endpoint.id,),
            created_at_ms=self._clock.now_ms(),
        )
        outcome = await self._trial.send(endpoint, message)
        if isinstance(outcome, Failure):
            raise UnreachableError(f"The endpoint gave no answer. {outcome.detail}")
        return outcome.status

    async def _check(self, principal: Principal, form: WebhookForm) -> None:
        findings = Findings()
        if form.name is not None and not (1 <= len(form.name) <= MAX_NAME_LENGTH and is_text(form.name)):
            findings.add("name", f"Use 1 to {MAX_NAME_LENGTH} characters.", "string_length")
        if form.url is not None and len(form.url) > MAX_URL_LENGTH:
            findings.add("url", f"Use at most {MAX_URL_LENGTH} characters.", "string_length")
        if form.event_types is not None:
            await self._check_event_types(principal, form.event_types, findings)
        findings.finish()

    async def _check_event_types(self, principal: Principal, names: Sequence[str], findings: Findings) -> None:
        """Each must be one of the platform's, or one that the organization has registered."""
        if not names:
            findings.add("event_types", "Name at least one event type.", "too_short")
        if len(names) > MAX_EVENT_TYPES:
            findings.add("event_types", f"At most {MAX_EVENT_TYPES} event types.", "too_long")
            return
        for index, name in enumerate(names):
            if name not in SUBSCRIBABLE and await self._event_types.find(principal, name) is None:
                findings.add(("event_types", index), "There is no event type of this name.", "invalid_value")
                return  # one of ten thousand says it


def _patched(endpoint: Endpoint, form: WebhookForm) -> EndpointForm:
    stated = {
        "description": form.name,
        "url": form.url,
        "event_types": None if form.event_types is None else tuple(dict.fromkeys(form.event_types)),
    }
    return msgspec.structs.replace(
        EndpointForm.of(endpoint), **{name: value for name, value in stated.items() if value is not None}
    )


def _renamed(error: InvalidError) -> InvalidError:
    """The same problems in the words of this API."""
    return InvalidError([msgspec.structs.replace(one, field=_rename(one.field)) for one in error.problems])


def _rename(path: tuple[str | int, ...]) -> tuple[str | int, ...]:
    return ("name", *path[1:]) if path[:1] == ("description",) else path
