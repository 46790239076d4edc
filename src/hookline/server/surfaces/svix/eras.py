"""What the SDKs of earlier years must be told differently from today's.

Until 1.5x the Python SDK was made by a generator whose clients take exactly one status for success and raise on any
other. A few answers have another status, and a body, since then; SDKs name their version in `user-agent`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Depends, Request

#: beside the ordinary answer of a rotation
ROTATED_FOR_OLDER: Final[dict[int | str, dict[str, Any]]] = {
    204: {"description": "The same, as SDKs of the 1.x years know it."}
}

_OLDER: Final = ("svix-libs/0.", "svix-libs/1.")


async def _is_older(request: Request) -> bool:
    return request.headers.get("user-agent", "").startswith(_OLDER)


#: whether an SDK of the 1.x years is asking, or one before
OlderSdk = Annotated[bool, Depends(_is_older)]
