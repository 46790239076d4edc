"""Attempts and deliveries: what happened to messages, and asking for one more try."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import msgspec

from hookline.clock import Clock
from hookline.model import Attempt, AttemptStatus, DeliveryState, Endpoint
from hookline.services.errors import NotFoundError, PayloadGoneError, invalid
from hookline.services.messages import Messages
from hookline.services.reach import within_reach
from hookline.services.validation import may_be_name
from hookline.store.protocol import (
    AttemptCounts,
    DeliveryCounts,
    DeliveryView,
    EndpointMessage,
    Management,
    MessageFilter,
    Page,
    Slice,
)
from hookline.store.scope import AppScope

HOUR_MS: Final = 3_600_000
LONGEST_PERIOD_MS: Final = 28 * 24 * HOUR_MS  # of what is counted
CLOCKS_DIFFER_MS: Final = 60_000  # whoever names 28 days by a clock of their own is right
EXPUNGED: Final = b"EXPUNGED"  # what stands for an answer that was removed


class Attempts:
    """Reads attempts and deliveries of one application at a time."""

    def __init__(self, store: Management, messages: Messages, clock: Clock) -> None:
        self._store = store
        self._messages = messages
        self._clock = clock

    async def get(self, scope: AppScope, message_id: str, attempt_id: str) -> Attempt:
        """Raises NotFoundError."""
        message = await self._messages.get(scope, message_id, with_content=False)
        attempt = await self._store.get_attempt(scope, message.id, attempt_id) if may_be_name(attempt_id) else None
        if attempt is None:
            raise NotFoundError
        return attempt

    async def list_of_message(
        self, scope: AppScope, message_id: str, page: Page, where: MessageFilter, *, with_content: bool = True
    ) -> Slice[Attempt]:
        """Raises NotFoundError when there is no such message."""
        message = await self._messages.get(scope, message_id, with_content=False)
        where = within_reach(page, _sharpened(where), self._clock.now_ms())
        return await self._store.list_attempts_of_message(scope, message.id, page, where, with_content=with_content)

    async def list_of_endpoint(
        self, scope: AppScope, endpoint_id: str, page: Page, where: MessageFilter, *, with_content: bool = True
    ) -> Slice[Attempt]:
        """Raises NotFoundError when there is no such endpoint."""
        endpoint = await self._find_endpoint(scope, endpoint_id)
        where = within_reach(page, _sharpened(where), self._clock.now_ms())
        return await self._store.list_attempts_of_endpoint(scope, endpoint.id, page, where, with_content=with_content)

    async def list_messages_of_endpoint(
        self,
        scope: AppScope,
        endpoint_id: str,
        page: Page,
        where: MessageFilter,
        *,
        states: Collection[DeliveryState] | None = None,
        with_content: bool = True,
    ) -> Slice[EndpointMessage]:
        """Messages that were for an endpoint, or sent to it all the same, and where each delivery stands.

        Raises:
            NotFoundError: there is no such endpoint.
        """
        endpoint = await self._find_endpoint(scope, endpoint_id)
        now_ms = self._clock.now_ms()
        where = within_reach(page, where, now_ms)
        return await self._store.list_messages_of_endpoint(
            scope, endpoint.id, page, where, states=states, now_ms=now_ms, with_content=with_content
        )

    async def count_deliveries(
        self, scope: AppScope, endpoint_id: str, since_ms: int | None, until_ms: int | None
    ) -> DeliveryCounts:
        """How an endpoint's deliveries stand, by default those of the last 28 days.

        Raises:
            NotFoundError: there is no such endpoint.
            InvalidError: the period is longer than that, or ends before it begins.
        """
        endpoint = await self._find_endpoint(scope, endpoint_id)
        now_ms = self._clock.now_ms()
        counts = await self._store.count_deliveries(scope, endpoint.id, *_period(since_ms, until_ms, now_ms), now_ms)
        if counts is None:
            raise NotFoundError
        return counts

    async def count_attempts(
        self, scope: AppScope, endpoint_id: str, since_ms: int | None, until_ms: int | None
    ) -> AttemptCounts:
        """What an endpoint's attempts came to, in whole hours around the period; otherwise as `count_deliveries`."""
        endpoint = await self._find_endpoint(scope, endpoint_id)
        begin_ms, end_ms = _period(since_ms, until_ms, self._clock.now_ms())
        begin_ms, end_ms = begin_ms // HOUR_MS * HOUR_MS, -(-end_ms // HOUR_MS) * HOUR_MS
        counts = await self._store.count_attempts(scope, endpoint.id, begin_ms, end_ms)
        if counts is None:
            raise NotFoundError
        return counts

    async def _find_endpoint(self, scope: AppScope, id_or_uid: str) -> Endpoint:
        endpoint = await self._store.get_endpoint(scope, id_or_uid) if may_be_name(id_or_uid) else None
        if endpoint is None:
            raise NotFoundError
        return endpoint

    async def deliveries_of_message(self, scope: AppScope, message_id: str) -> list[DeliveryView]:
        """Where each target stands.

        Raises:
            NotFoundError: there is no such message.
        """
        message = await self._messages.get(scope, message_id, with_content=False)
        return await self._store.deliveries_of_message(scope, message.id, self._clock.now_ms())

    async def resend(self, scope: AppScope, message_id: str, endpoint_id: str) -> None:
        """Try a message at an endpoint once more, now, beside its schedule. An endpoint that it was not for is fine.

        Raises:
            NotFoundError: message or endpoint are not of this application.
            PayloadGoneError: there is nothing left to send.
        """
        message = await self._messages.get(scope, message_id, with_content=False)
        endpoint = await self._find_endpoint(scope, endpoint_id)
        if message.payload_expired:
            raise PayloadGoneError
        if not await self._store.request_resend(scope, message.id, endpoint.id, self._clock.now_ms()):
            raise NotFoundError

    async def expunge(self, scope: AppScope, message_id: str, attempt_id: str) -> None:
        """Forget what the receiver answered.

        Raises:
            NotFoundError: there is no such message or attempt.
        """
        message = await self._messages.get(scope, message_id, with_content=False)
        if not may_be_name(attempt_id) or not await self._store.expunge_attempt(
            scope, message.id, attempt_id, EXPUNGED
        ):
            raise NotFoundError


def _sharpened(where: MessageFilter) -> MessageFilter:
    """What follows from the filter: whatever was answered but no 2xx is a failure, and these are found by an index."""
    if where.status is None and where.status_class not in {None, 0, 200}:
        return msgspec.structs.replace(where, status=AttemptStatus.FAILED)
    return where


def _period(since_ms: int | None, until_ms: int | None, now_ms: int) -> tuple[int, int]:
    """From when until when to count.

    Raises:
        InvalidError: that is no period, or too long a one.
    """
    end_ms = now_ms + 1 if until_ms is None else until_ms
    begin_ms = end_ms - LONGEST_PERIOD_MS if since_ms is None else since_ms
    if not 0 < end_ms - begin_ms <= LONGEST_PERIOD_MS + CLOCKS_DIFFER_MS:
        raise invalid("since", "Must be before `until`, and by at most 28 days.", place="query")
    return begin_ms, end_ms
