"""Messages: checking what somebody wants to send, and reading what was sent.

`draft` is synchronous and asks nobody, because the route that accepts messages calls it thousands of times a second;
`settle` turns what the engine answers into the message that the caller is told of.

Two names can make a message unique. `eventId` is the caller's own id for it: a second message of the same id is a
conflict. `Idempotency-Key` names the request: the same request again is answered with the same message, another
request under the same key is a mistake.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, Protocol

import msgspec
import orjson

from hookline.clock import Clock
from hookline.engine import Draft, Receipt
from hookline.model import Message, ids
from hookline.services.checks import NO_CHECKS, Checks, ChecksCache
from hookline.services.errors import (
    ConflictError,
    EventIdTakenError,
    InvalidError,
    NotFoundError,
    PayloadTooLargeError,
    invalid,
)
from hookline.services.idempotency import lifetime_of_key, read_key
from hookline.services.reach import within_reach
from hookline.services.validation import (
    Findings,
    check_channels,
    check_tags,
    check_uid,
    is_event_type,
    is_text,
    may_be_name,
)
from hookline.store.changes import MessageKey
from hookline.store.protocol import Management, MessageFilter, Page, Slice
from hookline.store.scope import AppScope, OrgScope

MAX_CHANNELS: Final = 5
MAX_TAGS: Final = 5
MAX_EXPUNGED: Final = 1_000  # messages that one request may name
EXPUNGE_CHUNK: Final = 100  # ... and that one transaction empties
EVENT_KEY: Final = "event:"
IDEMPOTENCY_KEY: Final = "idempotency:"
EVENT_KEY_S: Final = 90 * 86_400.0  # as long as the message itself is kept by default
SHORTEST_RETENTION_S: Final = 3_600.0
LONGEST_RETENTION_S: Final = 90 * 86_400.0
LONGEST_DELAY_MS: Final = 7 * 86_400_000
SHORTEST_DELAY_MS: Final = 1_000  # what is nearer is as good as now


class Accepting(Protocol):
    """What services need of the engine's ingest."""

    async def accept(self, draft: Draft) -> Receipt: ...
    async def foresee(self, app_id: str, event_type: str, channels: Sequence[str]) -> tuple[str, ...]: ...


class MessageForm(msgspec.Struct, frozen=True):
    """What a caller wants to send. `payload` is JSON text, kept and sent byte for byte."""

    event_type: str
    payload: bytes
    event_id: str | None = None
    channels: tuple[str, ...] | None = None
    retention_s: float | None = None
    tags: tuple[str, ...] | None = None
    deliver_at_ms: int | None = None


class MessageOptions(msgspec.Struct, frozen=True):
    """The operator's limits. `retention_s` empties payloads after a while even when nobody asked for it."""

    max_payload_bytes: int = 1_048_576
    event_key_s: float = EVENT_KEY_S
    retention_s: float | None = None


class Messages:
    """Makes drafts, has them accepted, and reads messages of one application at a time."""

    def __init__(
        self,
        store: Management,
        ingest: Accepting,
        checks: ChecksCache,
        clock: Clock,
        options: MessageOptions | None = None,
    ) -> None:
        self._store = store
        self._ingest = ingest
        self._checks = checks
        self._clock = clock
        self._options = options or MessageOptions()

    def draft(
        self,
        scope: AppScope,
        form: MessageForm,
        *,
        checks: Checks = NO_CHECKS,
        request: bytes = b"",
        idempotency_key: str | None = None,
    ) -> Draft:
        """Check a message. `checks` are those that its organization wants (`ChecksCache`); messages of our own need
        none. `request` are the bytes of the whole request: what a key may be used again for.

        Raises:
            InvalidError: the form or the key breaks a rule.
            PayloadTooLargeError: the payload has more bytes than the operator allows.
        """
        if len(form.payload) > self._options.max_payload_bytes:
            raise PayloadTooLargeError(
                f"The payload has {len(form.payload)} bytes; at most {self._options.max_payload_bytes} are accepted. "
                "Send a reference to the data instead."
            )
        payload = _check(form)
        if checks is not NO_CHECKS:
            problems = checks.problems_of_message(form.event_type, payload, len(form.payload))
            if problems:
                raise InvalidError(problems)
        channels = tuple(dict.fromkeys(form.channels)) if form.channels else ()
        now_ms = self._clock.now_ms()
        retention_s = form.retention_s
        if retention_s is None:
            retention_s = self._payload_retention_s(checks)
        deliver_at_ms = None if form.deliver_at_ms is None else _read_delay(form.deliver_at_ms, now_ms)
        return Draft(
            scope.org_id,
            scope.app_id,
            form.event_type,
            form.payload,
            form.event_id,
            channels,
            self._keys(scope, form.event_id, idempotency_key, request, now_ms),
            # Kept for so long after it goes out: what expired before could never be sent.
            None if retention_s is None else (deliver_at_ms or now_ms) + round(retention_s * 1000),
            None,
            tuple(dict.fromkeys(form.tags)) if form.tags else (),
            deliver_at_ms,
        )

    async def create(
        self, scope: AppScope, form: MessageForm, *, request: bytes = b"", idempotency_key: str | None = None
    ) -> Message:
        """Check a message, make it durable and owed, and say what was accepted.

        Raises:
            InvalidError, PayloadTooLargeError, ConflictError: as `draft` and `settle` say.
            UnknownApplicationError, OverloadedError, StoppingError: the engine does not take it.
            StoreUnavailableError, StoreFullError: nothing was kept.
        """
        checks = await self._checks.get(scope.org_id)
        draft = self.draft(scope, form, checks=checks, request=request, idempotency_key=idempotency_key)
        return await self.settle(draft, await self._ingest.accept(draft))

    async def payload_retention_s(self, org_id: str) -> float | None:
        """How long the payload of a message is kept that does not say so itself; None: as long as the message.

        Raises:
            StoreUnavailableError: nobody can tell now.
        """
        return self._payload_retention_s(await self._checks.get(org_id))

    async def check(self, scope: OrgScope, form: MessageForm) -> None:
        """Raise what `create` would raise for the message itself: for whoever has something to do before."""
        self.draft(AppScope(scope.org_id, ""), form, checks=await self._checks.get(scope.org_id))

    async def send_only_to(self, scope: AppScope, endpoint_id: str, form: MessageForm) -> Message:
        """Send a message of our own making to one endpoint (id), whatever that one takes otherwise.

        Raises:
            InvalidError, PayloadTooLargeError: as `draft` says.
            UnknownApplicationError, OverloadedError, StoppingError: the engine does not take it.
            StoreUnavailableError, StoreFullError: nothing was kept.
        """
        draft = msgspec.structs.replace(self.draft(scope, form), only_endpoint=endpoint_id)
        return await self.settle(draft, await self._ingest.accept(draft))

    async def is_wanted(self, scope: AppScope, event_type: str, channels: Sequence[str] | None = None) -> bool:
        """Whether any endpoint would get such a message, if it were sent now. A filter on payloads may say otherwise.

        Raises:
            InvalidError: there can be no such type or channel.
            UnknownApplicationError, StoreUnavailableError: nobody can tell.
        """
        findings = Findings()
        _check_event_type(event_type, findings)
        check_channels(channels, MAX_CHANNELS, findings)
        findings.finish()
        checks = await self._checks.get(scope.org_id)
        if not checks.may_be_sent(event_type):
            return False
        return bool(await self._ingest.foresee(scope.app_id, event_type, channels or ()))

    async def settle(self, draft: Draft, receipt: Receipt) -> Message:
        """The message that a draft became, or the one that the same request made before.

        Raises:
            EventIdTakenError: another message has this eventId.
            InvalidError: the Idempotency-Key was used for another request.
        """
        duplicate = receipt.duplicate
        if duplicate is None:
            return receipt.message
        ours = {key.key: key.fingerprint for key in draft.keys}
        is_repetition = duplicate.fingerprint == ours.get(duplicate.key)
        if duplicate.key.startswith(EVENT_KEY):
            # Without a key of the request, nothing tells a repetition from a second message of the same name.
            if not is_repetition or not any(key.startswith(IDEMPOTENCY_KEY) for key in ours):
                raise EventIdTakenError(duplicate.message_id)
        elif not is_repetition:
            raise invalid(
                "idempotency-key",
                "This key was used for another request before. Use a new key for each request.",
                "idempotency_key_reused",
                "header",
            )
        message = await self._store.get_message(AppScope(draft.org_id, draft.app_id), duplicate.message_id)
        if message is None:
            raise ConflictError("The message that this key named is not kept any more. Use a new key.")
        return message

    async def get(self, scope: AppScope, id_or_event_id: str, *, with_content: bool = True) -> Message:
        """Without content the payload is not read, and empty. Raises NotFoundError."""
        message = await self.find(scope, id_or_event_id, with_content=with_content)
        if message is None:
            raise NotFoundError
        return message

    async def find(self, scope: AppScope, id_or_event_id: str, *, with_content: bool = True) -> Message | None:
        if not may_be_name(id_or_event_id):
            return None
        return await self._store.get_message(scope, id_or_event_id, with_content=with_content)

    async def find_many(
        self, scope: AppScope, message_ids: Collection[str], *, with_content: bool = True
    ) -> list[Message]:
        """Those that there are, in no order."""
        return await self._store.get_messages(scope, message_ids, with_content=with_content)

    async def list_page(
        self, scope: AppScope, page: Page, where: MessageFilter, *, with_content: bool = True
    ) -> Slice[Message]:
        where = within_reach(page, where, self._clock.now_ms())
        return await self._store.list_messages(scope, page, where, with_content=with_content)

    async def expunge(self, scope: AppScope, id_or_event_id: str) -> None:
        """Remove a payload now; what is still owed of it is canceled.

        Raises:
            NotFoundError: there is no such message.
        """
        message = await self.get(scope, id_or_event_id, with_content=False)
        if not await self._store.expunge_messages(scope, [message.id], self._clock.now_ms()):
            raise NotFoundError

    async def expunge_many(self, scope: AppScope, ids_or_event_ids: Sequence[str]) -> dict[str, bool]:
        """Remove many payloads; for each name whether there was such a message. In steps: a failure in the middle
        leaves those before it removed, and the same call again does the rest.

        Raises:
            InvalidError: too many names at once.
        """
        if len(ids_or_event_ids) > MAX_EXPUNGED:
            raise invalid("ids", f"At most {MAX_EXPUNGED} messages at once.", "too_long")
        results: dict[str, bool] = {}
        for chunk in _batched(dict.fromkeys(ids_or_event_ids), EXPUNGE_CHUNK):
            found = {name: await self.find(scope, name, with_content=False) for name in chunk}
            wanted = {name: message.id for name, message in found.items() if message is not None}
            gone: set[str] = set()
            if wanted:
                gone = await self._store.expunge_messages(scope, list(wanted.values()), self._clock.now_ms())
            results |= {name: wanted.get(name) in gone for name in chunk}
        return results

    def _payload_retention_s(self, checks: Checks) -> float | None:
        """What the organization wants, and what the operator wants of all: whatever is sooner."""
        one_s, other_s = checks.payload_retention_s, self._options.retention_s
        if one_s is None or other_s is None:
            return other_s if one_s is None else one_s
        return min(one_s, other_s)

    def _keys(
        self, scope: AppScope, event_id: str | None, idempotency_key: str | None, request: bytes, now_ms: int
    ) -> tuple[MessageKey, ...]:
        if event_id is None and idempotency_key is None:
            return ()
        digest = hashlib.sha256(b"POST message %b\n" % scope.app_id.encode())
        digest.update(request)
        keys = []
        if idempotency_key is not None:
            name = read_key(idempotency_key)
            lifetime_s = lifetime_of_key(name)
            keys.append(MessageKey(IDEMPOTENCY_KEY + name, digest.digest(), now_ms + round(lifetime_s * 1000)))
            # So that the eventId's own key tells a repetition of this very request from another message.
            digest.update(b"\n" + name.encode())
        if event_id is not None:
            expires_ms = now_ms + round(self._options.event_key_s * 1000)
            keys.append(MessageKey(EVENT_KEY + event_id, digest.digest(), expires_ms))
        return tuple(keys)


def _batched(names: Iterable[str], size: int) -> Iterator[list[str]]:
    """The names in lists of at most this size."""
    rest = iter(names)
    while chunk := list(islice(rest, size)):
        yield chunk


def _read_delay(deliver_at_ms: int, now_ms: int) -> int | None:
    """When a message goes out; None for at once, which is also what the past and the next moment mean."""
    if deliver_at_ms - now_ms > LONGEST_DELAY_MS:
        days = LONGEST_DELAY_MS // 86_400_000
        raise invalid("deliver_at", f"A message may wait for at most {days} days. Send it when it is nearer.", "range")
    return deliver_at_ms if deliver_at_ms - now_ms >= SHORTEST_DELAY_MS else None


def _check(form: MessageForm) -> dict[str, Any]:
    """The payload, read. Raises InvalidError with everything that is wrong.

    The good case makes no list of findings: it is hot.
    """
    payload = _read_payload(form.payload)
    if (
        type(payload) is dict
        and is_event_type(form.event_type)
        and form.event_id is None
        and form.channels is None
        and form.retention_s is None
        and form.tags is None
    ):
        return payload
    findings = Findings()
    _check_event_type(form.event_type, findings)
    if isinstance(payload, str):
        findings.add("payload", payload, "json_invalid")
    check_uid(form.event_id, ids.MESSAGE, findings, "event_id")
    check_channels(form.channels, MAX_CHANNELS, findings)
    check_tags(form.tags, MAX_TAGS, findings)
    if form.retention_s is not None and not SHORTEST_RETENTION_S <= form.retention_s <= LONGEST_RETENTION_S:
        findings.add("payload_retention_period", "Use an hour to 90 days.", "range")
    findings.finish()
    assert isinstance(payload, dict)
    return payload


def _check_event_type(event_type: str, findings: Findings) -> None:
    if not is_event_type(event_type):
        findings.add(
            "event_type", "Use 1 to 256 letters, digits, full stops, hyphens and underscores.", "string_pattern"
        )


def _read_payload(payload: bytes) -> dict[str, Any] | str:
    """A payload, or a sentence about what is wrong with it. Strict JSON: no NaN, no half surrogates, nesting to a
    bounded depth.

    A member that is there twice passes: what receivers see is what the sender wrote.
    """
    try:
        value = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        return f"The payload is not valid JSON: {error.msg if is_text(error.msg) else 'it cannot be read'}."
    return value if isinstance(value, dict) else "The payload must be a JSON object."
