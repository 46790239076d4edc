"""Background responses: made, asked for, called off, deleted. What works on them is in `jobs`.

Their requests and results are kept in plain JSON, as the payloads of messages are: what is sealed are secrets, and a
request has none. Members that would need a store of the backend's own are refused: callers of several applications
share the backend, so what one of them left there must not be within another's reach.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from hookline.clock import Clock
from hookline.model import ids
from hookline.model.jobs import RESPONSE, Job
from hookline.services.errors import BadRequestError, NotFoundError, TooManyOpenError
from hookline.services.validation import Findings, may_be_name
from hookline.store.jobs import JobLimitError, JobStore
from hookline.store.scope import AppScope

PREFIX: Final = "resp"
MAX_MODEL_LENGTH: Final = 256
MAX_METADATA: Final = 16
_STORED: Final = ("previous_response_id", "conversation", "prompt")
_RANGES: Final = {"temperature": (0, 2), "top_p": (0, 1), "max_output_tokens": (1, 2**31)}

_encode = msgspec.json.Encoder().encode


class Responses:
    """Everything but the work itself. Each is seen by its own application only."""

    def __init__(self, store: JobStore, clock: Clock, *, most_open: int) -> None:
        self._store = store
        self._clock = clock
        self._most_open = most_open

    async def create(self, scope: AppScope, request: Mapping[str, Any]) -> Job:
        """Keep the body of a request with `background`: on disk, and sure to be worked on, when this returns.

        Raises:
            InvalidError: a member breaks a rule, or cannot be done in the background.
            TooManyOpenError: too many of this application are not done yet.
        """
        check(request)
        now_ms = self._clock.now_ms()
        job = Job(ids.new_id(PREFIX), scope.org_id, scope.app_id, RESPONSE, _encode(request), now_ms, now_ms)
        try:
            return await self._store.create_job(job, most_open=self._most_open)
        except JobLimitError as error:
            raise TooManyOpenError(
                f"{self._most_open} background responses are open already. Wait until some have ended, or cancel some."
            ) from error

    async def get(self, scope: AppScope, response_id: str) -> Job:
        """Raises NotFoundError."""
        job = await self._store.get_job(scope, RESPONSE, response_id) if may_be_name(response_id) else None
        if job is None:
            raise _unknown(response_id)
        return job

    async def cancel(self, scope: AppScope, response_id: str) -> Job:
        """End it as cancelled; one that has ended stays as it is.

        Raises:
            NotFoundError: there is none.
            BadRequestError: this is not the id of a background response.
        """
        if not ids.is_id(response_id, PREFIX):
            raise BadRequestError("Only background responses can be cancelled, and this is not the id of one.")
        job = await self._store.cancel_job(scope, RESPONSE, response_id, self._clock.now_ms())
        if job is None:
            raise _unknown(response_id)
        return job

    async def delete(self, scope: AppScope, response_id: str) -> None:
        """Remove it; one that is open is cancelled first. Raises NotFoundError."""
        if not may_be_name(response_id) or not await self._store.delete_job(
            scope, RESPONSE, response_id, self._clock.now_ms()
        ):
            raise _unknown(response_id)


def _unknown(response_id: str) -> NotFoundError:
    return NotFoundError(f"There is no background response with id '{response_id[:80]}'.")


def check(request: Mapping[str, Any]) -> None:
    """Raises InvalidError when this cannot be a background response."""
    findings = Findings()
    model = request.get("model")
    if not isinstance(model, str) or not 1 <= len(model) <= MAX_MODEL_LENGTH:
        findings.add("model", f"Give the name of a model, 1 to {MAX_MODEL_LENGTH} characters.", "invalid_type")
    if not isinstance(request.get("input"), str | list) or not request["input"]:
        findings.add("input", "Give a text, or a list of items.", "missing_required_parameter")
    if request.get("store") is False:
        findings.add("store", "A background response is always stored: leave `store` out.", "unsupported_value")
    if request.get("stream"):
        findings.add("stream", "A background response cannot be streamed here: poll it, or wait for its event.")
    for name in _STORED:
        if request.get(name) is not None:
            findings.add(name, f"`{name}` cannot be used in the background here: send it all in `input`.")
    if not isinstance(request.get("instructions"), str | None):
        findings.add("instructions", "Give a text.", "invalid_type")
    for name, (least, most) in _RANGES.items():
        value = request.get(name)
        if value is None:
            continue
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not least <= value <= most:
            findings.add(name, f"Give a number from {least} to {most}.", "invalid_value")
    if not isinstance(request.get("tools"), list | None):
        findings.add("tools", "Give a list.", "invalid_type")
    if not isinstance(request.get("text"), dict | None):
        findings.add("text", "Give an object.", "invalid_type")
    _check_metadata(request.get("metadata"), findings)
    findings.finish()


def _check_metadata(metadata: Any, findings: Findings) -> None:
    if metadata is None:
        return
    if not isinstance(metadata, dict) or len(metadata) > MAX_METADATA:
        findings.add("metadata", f"Give an object with at most {MAX_METADATA} members.", "invalid_type")
    elif not all(isinstance(value, str) for value in metadata.values()):
        findings.add("metadata", "Give texts only.", "invalid_type")
