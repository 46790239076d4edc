"""Endpoints: the URLs of an application's subscribers, and everything that may be said about them."""

from __future__ import annotations

import secrets as random_source
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from hookline.clock import Clock
from hookline.dialects import SecretForm, Transform, TransformError, get_dialect
from hookline.egress import EgressPolicy
from hookline.model import Endpoint, EndpointSecret, EndpointStatus, ids
from hookline.model.health import EndpointHealth
from hookline.services.checks import Checks, ChecksCache
from hookline.services.endpoint_form import (
    EndpointForm,
    check_form,
    check_headers,
    check_prepared,
    fill_extras,
    merge_policy,
)
from hookline.services.errors import ConflictError, InvalidError, LimitReachedError, NotFoundError, invalid
from hookline.services.principal import Principal
from hookline.services.secrets import DEFAULT_GRACE_S, RANDOM_BYTES, generate_secret, read_secret, rotate_secrets
from hookline.services.validation import may_be_name, unique
from hookline.store.errors import ChangedMeanwhileError
from hookline.store.protocol import Management, Page, Slice
from hookline.store.scope import AppScope

MAX_TRIES: Final = 20  # of a change that others interrupt
# In an application, when a customer's token makes one more. Each message is looked at for each endpoint, and owed to
# each: how much work that is must not be a customer's to say. Providers make as many as they like.
MAX_OF_CUSTOMERS: Final = 100

# Names whose values are credentials: listed, never shown.
SENSITIVE_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "x-api-key", "x-auth-token", "api-key", "cookie", "www-authenticate"}
)


class Endpoints:
    """Creates, reads, changes and deletes endpoints of one application at a time.

    Whoever selects targets hears of changes from the store: it announces each one after its commit.
    """

    def __init__(
        self,
        store: Management,
        egress: EgressPolicy,
        checks: ChecksCache,
        clock: Clock,
        *,
        default_schedule_s: tuple[float, ...] | None = None,
        random_bytes: Callable[[int], bytes] = random_source.token_bytes,
    ) -> None:
        self._store = store
        self._egress = egress
        self._checks = checks
        self._clock = clock
        self._default_schedule_s = default_schedule_s
        self._random_bytes = random_bytes

    async def create(self, scope: AppScope, form: EndpointForm, *, principal: Principal | None = None) -> Endpoint:
        """Make an endpoint; its secret is generated unless the form has one. `principal` is who asks for it, if anybody
        does.

        Raises:
            InvalidError: the form breaks a rule.
            ConflictError: the uid is taken.
            LimitReachedError: a customer wants one more than customers may have.
        """
        now_ms = self._clock.now_ms()
        check_form(form, self._egress, now_ms)
        if principal is not None and not principal.may_send:
            await self._require_room(scope)
        _require_known(await self._checks.get_fresh(scope.org_id), form)
        blank = Endpoint(
            id=ids.new_id(ids.ENDPOINT),
            org_id=scope.org_id,
            app_id=scope.app_id,
            uid=None,
            url=form.url,
            description="",
            version=1,
            dialect=form.dialect,
            status=EndpointStatus.ENABLED,
            status_reason=None,
            event_types=None,
            channels=None,
            secrets=self._secrets(form, now_ms),
            headers={},
            policy=None,
            options={},
            ordered=False,
            throttle_rate=None,
            metadata={},
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
        )
        endpoint = self._filled(blank, form)
        check_prepared(endpoint)
        return await self._store.create_endpoint(endpoint)

    async def _require_room(self, scope: AppScope) -> None:
        """Failure policy: open by a little. Those who ask at once may all get in; the bound is for cost, not exact."""
        if not (await self._store.list_endpoints(scope, Page(MAX_OF_CUSTOMERS - 1))).done:
            raise LimitReachedError(
                f"There are {MAX_OF_CUSTOMERS} endpoints or more. Delete one, or ask your provider to make another."
            )

    async def get(self, scope: AppScope, id_or_uid: str) -> Endpoint:
        """Raises NotFoundError."""
        endpoint = await self.find(scope, id_or_uid)
        if endpoint is None:
            raise NotFoundError
        return endpoint

    async def find(self, scope: AppScope, id_or_uid: str) -> Endpoint | None:
        return await self._store.get_endpoint(scope, id_or_uid) if may_be_name(id_or_uid) else None

    async def health(self, scope: AppScope, endpoint_ids: Sequence[str]) -> dict[str, EndpointHealth]:
        """Of those that fail or were disabled; the others are not in it."""
        return await self._store.endpoint_health(scope, endpoint_ids) if endpoint_ids else {}

    async def list_page(self, scope: AppScope, page: Page) -> Slice[Endpoint]:
        return await self._store.list_endpoints(scope, page)

    async def update(self, scope: AppScope, id_or_uid: str, fill_form: Callable[[Endpoint], EndpointForm]) -> Endpoint:
        """Replace what the form says that `fill_form` makes of the endpoint as it is: once more, if somebody else
        changed it meanwhile. A secret in the form replaces all secrets, without a period of grace.

        Raises:
            NotFoundError: there is no such endpoint.
            InvalidError: the form breaks a rule, or the secrets do not fit the new dialect.
            ConflictError: the uid is taken, or others change this endpoint all the time.
        """
        checks = await self._checks.get_fresh(scope.org_id)

        def change(endpoint: Endpoint, now_ms: int) -> Endpoint:
            form = fill_form(endpoint)
            check_form(form, self._egress, now_ms, endpoint.extras)
            _require_known(checks, form, endpoint.event_types)
            changed = self._filled(endpoint, form)
            if form.secret is not None:
                changed = msgspec.structs.replace(changed, secrets=self._secrets(form, now_ms))
            check_prepared(changed)
            return changed

        return await self._change(scope, id_or_uid, change)

    async def delete(self, scope: AppScope, id_or_uid: str) -> None:
        """Delete an endpoint; what it is still owed is canceled.

        Raises:
            NotFoundError: there is no such endpoint.
        """
        endpoint = await self.get(scope, id_or_uid)
        if not await self._store.delete_endpoint(scope, endpoint.id, self._clock.now_ms()):
            raise NotFoundError

    async def rotate_secret(
        self, scope: AppScope, id_or_uid: str, *, key: str | None = None, grace_s: int | None = None
    ) -> Endpoint:
        """Sign with a new secret from now on, and with the old one beside it until the period of grace ends.

        Raises:
            NotFoundError: there is no such endpoint.
            InvalidError: the key or the period is not usable.
            LimitReachedError: too many old secrets are still in use.
        """

        def change(endpoint: Endpoint, now_ms: int) -> Endpoint:
            secret_form = get_dialect(endpoint.dialect).secret_form
            text = self._generate(secret_form) if key is None else read_secret(secret_form, key, "key")
            rotated = rotate_secrets(endpoint.secrets, text, now_ms, DEFAULT_GRACE_S if grace_s is None else grace_s)
            changed = msgspec.structs.replace(endpoint, secrets=rotated)
            check_prepared(changed)
            return changed

        return await self._change(scope, id_or_uid, change)

    async def set_headers(
        self, scope: AppScope, id_or_uid: str, fill: Callable[[Mapping[str, str]], Mapping[str, str]]
    ) -> Endpoint:
        """Replace the custom headers by what `fill` makes of those that there are.

        Raises:
            NotFoundError: there is no such endpoint.
            InvalidError: one of them may not be sent.
        """

        def change(endpoint: Endpoint, _: int) -> Endpoint:
            headers = fill(endpoint.headers)
            check_headers(headers)
            changed = msgspec.structs.replace(endpoint, headers=dict(headers))
            check_prepared(changed)
            return changed

        return await self._change(scope, id_or_uid, change)

    async def set_transform(
        self,
        scope: AppScope,
        id_or_uid: str,
        *,
        code: str | msgspec.UnsetType | None = msgspec.UNSET,
        enabled: bool | None = None,
    ) -> Endpoint:
        """Set what is sent instead of the payload, switch it on or off, or (None) send the payload again.

        Raises:
            NotFoundError: there is no such endpoint.
            InvalidError: it is no JMESPath expression.
        """
        if isinstance(code, str):
            try:
                Transform(code)
            except TransformError as error:
                message = f"{error.message} Transformations are JMESPath expressions here, not JavaScript."
                raise invalid("code", message, error.code) from None

        def change(endpoint: Endpoint, _: int) -> Endpoint:
            kept = endpoint.extras
            transform = kept.transform if code is msgspec.UNSET else code
            switched = kept.transform_enabled if enabled is None else enabled
            extras = msgspec.structs.replace(kept, transform=transform, transform_enabled=switched or transform is None)
            return msgspec.structs.replace(endpoint, extras=extras)

        return await self._change(scope, id_or_uid, change)

    def _secrets(self, form: EndpointForm, now_ms: int) -> tuple[EndpointSecret, ...]:
        """The secrets of a form: given, generated, or none where the dialect can do without and the form says so."""
        secret_form = get_dialect(form.dialect).secret_form
        if form.secret == "" and secret_form is SecretForm.TEXT:
            return ()
        text = self._generate(secret_form) if form.secret is None else read_secret(secret_form, form.secret)
        return (EndpointSecret(text, now_ms),)

    def _generate(self, secret_form: SecretForm) -> str:
        return generate_secret(secret_form, self._random_bytes(RANDOM_BYTES))

    def _filled(self, endpoint: Endpoint, form: EndpointForm) -> Endpoint:
        status = (
            EndpointStatus.DISABLED
            if form.disabled
            else EndpointStatus.PAUSED
            if form.paused
            else EndpointStatus.ENABLED
        )
        filled = msgspec.structs.replace(
            endpoint,
            uid=form.uid,
            url=form.url,
            description=form.description,
            version=form.version,
            dialect=form.dialect,
            status=status,
            status_reason=_status_reason(endpoint, status),
            event_types=unique(form.event_types),
            channels=unique(form.channels),
            headers=dict(form.headers),
            options=dict(form.options),
            ordered=form.ordered,
            throttle_rate=form.throttle_rate,
            metadata=dict(form.metadata),
            extras=fill_extras(endpoint.extras, form, self._egress),
        )
        return msgspec.structs.replace(filled, policy=merge_policy(filled, form.policy, self._default_schedule_s))

    async def _change(self, scope: AppScope, id_or_uid: str, change: Callable[[Endpoint, int], Endpoint]) -> Endpoint:
        """Read, change, write; from the beginning if another change came in between, so that neither is lost."""
        endpoint = await self.get(scope, id_or_uid)
        for _ in range(MAX_TRIES):
            now_ms = self._clock.now_ms()
            changed = msgspec.structs.replace(
                change(endpoint, now_ms), updated_at_ms=max(now_ms, endpoint.updated_at_ms + 1)
            )
            try:
                updated = await self._store.update_endpoint(changed, read_at_ms=endpoint.updated_at_ms)
            except ChangedMeanwhileError:
                endpoint = await self.get(scope, endpoint.id)
                continue
            if updated is None:
                raise NotFoundError
            return updated
        raise ConflictError("Others change this endpoint all the time. Try again.")


def _require_known(checks: Checks, form: EndpointForm, already: tuple[str, ...] | None = None) -> None:
    """Raises InvalidError when the form newly names event types that there are not, where those are checked."""
    problems = checks.problems_of_filter(form.event_types, already)
    if problems:
        raise InvalidError(problems)


def _status_reason(before: Endpoint, status: EndpointStatus) -> str | None:
    """Keep why it was disabled as long as it stays so (by its receiver, say); else it is somebody's wish."""
    if status is EndpointStatus.ENABLED:
        return None
    return before.status_reason if before.status is status else "requested"
