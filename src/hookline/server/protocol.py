"""Which HTTP/1.1 protocol class reads connections: uvicorn's own, with the hot route taken out of its way."""

from __future__ import annotations

import asyncio

from hookline.server.hotpath import protocol_class
from hookline.server.runtime import Runtime
from hookline.server.surfaces.svix.hot_messages import HotMessages


def http_protocol(runtime: Runtime) -> type[asyncio.Protocol]:
    """The class for one runtime's connections."""
    return protocol_class(HotMessages(runtime), receive_timeout_s=runtime.settings.receive_timeout_s)
