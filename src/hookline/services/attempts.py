"""Attempts and deliveries: what happened to messages, and asking for one more try."""

from __future__ import annotations

from hookline.clock import Clock
from hookline.model import Attempt
from hookline.services.errors import NotFoundError, PayloadGoneError
from hookline.services.messages import Messages
from hookline.services.validation import may_be_name
from hookline.store.protocol import DeliveryView, Management, MessageFilter, Page, Slice
from hookline.store.scope import AppScope

EXPUNGED = b"EXPUNGED"  # what stands for an answer that was removed


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
        self, scope: AppScope, message_id: str, page: Page, where: MessageFilter
    ) -> Slice[Attempt]:
        """Raises NotFoundError when there is no such message."""
        message = await self._messages.get(scope, message_id, with_content=False)
        return await self._store.list_attempts_of_message(scope, message.id, page, where)

    async def list_of_endpoint(
        self, scope: AppScope, endpoint_id: str, page: Page, where: MessageFilter
    ) -> Slice[Attempt]:
        """Raises NotFoundError when there is no such endpoint."""
        endpoint = await self._store.get_endpoint(scope, endpoint_id) if may_be_name(endpoint_id) else None
        if endpoint is None:
            raise NotFoundError
        return await self._store.list_attempts_of_endpoint(scope, endpoint.id, page, where)

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
        endpoint = await self._store.get_endpoint(scope, endpoint_id) if may_be_name(endpoint_id) else None
        if endpoint is None:
            raise NotFoundError
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
