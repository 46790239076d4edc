"""The calls of Hookline's API that the demo makes: plain HTTP with a Bearer token, as any program would."""

from __future__ import annotations

from typing import Any, Self

import httpx2

from .scene import APPLICATION, Event, Subscriber


class Client:
    """Talks to one server. An answer that is no success raises `httpx2.HTTPStatusError`."""

    def __init__(self, url: str, token: str) -> None:
        headers = {"authorization": f"Bearer {token}"}
        self._http = httpx2.AsyncClient(base_url=f"{url}/api/v1", headers=headers, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def create_application(self) -> None:
        await self._call("POST", "/app", {"name": "Demo", "uid": APPLICATION})

    async def create_endpoint(self, subscriber: Subscriber, url: str) -> str:
        """Make a subscriber's endpoint; its signing secret."""
        path = f"/app/{APPLICATION}/endpoint"
        await self._call(
            "POST",
            path,
            {
                "uid": subscriber.uid,
                "url": url,
                "dialect": subscriber.dialect,
                "eventTypes": list(subscriber.event_types),
            },
        )
        return str((await self._call("GET", f"{path}/{subscriber.uid}/secret"))["key"])

    async def publish(self, event: Event) -> dict[str, Any]:
        """Send an event; the message that was accepted."""
        return await self._call(
            "POST", f"/app/{APPLICATION}/msg", {"eventType": event.type, "payload": dict(event.payload)}
        )

    async def list_attempts(self, message_id: str, subscriber: Subscriber) -> list[dict[str, Any]]:
        """What Hookline has on record for one delivery, newest first."""
        path = f"/app/{APPLICATION}/attempt/msg/{message_id}?endpoint_id={subscriber.uid}"
        attempts: list[dict[str, Any]] = (await self._call("GET", path))["data"]
        return attempts

    async def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        response = await self._http.request(method, path, json=body)
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer
