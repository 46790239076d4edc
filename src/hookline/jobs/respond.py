"""`response`: one background response, asked for at the backend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hookline.jobs.run import Run, TaskFailedError, TaskLaterError
from hookline.model.jobs import RESPONSE
from hookline.services.inference import Backend, BackendBusyError, BackendRefusedError


class Respond:
    """One step: the backend's answer is the result, and nothing is kept before it."""

    name = RESPONSE

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def work(self, run: Run) -> Mapping[str, Any]:
        try:
            answer = await self._backend.respond(run.task.parameters)
        except BackendBusyError as error:
            result = {"error": {"code": error.error_code, "message": error.message}}
            raise TaskLaterError(error.message, result=result, after_s=error.retry_after_s) from error
        except BackendRefusedError as error:
            result = {"error": {"code": error.error_code, "message": error.message}}
            raise TaskFailedError(error.message, result=result) from error
        return {**answer.members, "status": answer.status}
