"""Entities for tests: valid ones, of which a test names only what it is about."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from hookline.model import Endpoint, EndpointSecret, EndpointStatus, Message, RetryPolicy

# The example of the TypeID specification: this suffix is this UUID.
MESSAGE_ID = "msg_01h455vb4pex5vsknk084sn02q"
MESSAGE_HEX = "01890a5dac96774bbcceb302099a8057"
MESSAGE_UUID = "01890a5d-ac96-774b-bcce-b302099a8057"
ACCEPTED_AT_MS = 1_688_096_058_518  # 2023-06-30T03:34:18.518Z, the moment in that id
NOW_MS = 1_700_000_000_999

WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # of the Standard Webhooks specification
WHSK = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
WHPK = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="


def make_whsec(fill: bytes) -> str:
    return "whsec_" + base64.b64encode(fill * 32).decode()


def make_endpoint(
    dialect: str = "standard",
    *keys: str | EndpointSecret,
    headers: Mapping[str, str] | None = None,
    policy: RetryPolicy | None = None,
    **options: object,
) -> Endpoint:
    """An endpoint with these secrets (text, or with an expiry) and these options of its dialect."""
    return Endpoint(
        id="ep_01h455vb4pex5vsknk084sn02q",
        org_id="org_1",
        app_id="app_1",
        uid=None,
        url="https://receiver.example/hooks?code=1",
        description="",
        version=1,
        dialect=dialect,
        status=EndpointStatus.ENABLED,
        status_reason=None,
        event_types=None,
        channels=None,
        secrets=tuple(key if isinstance(key, EndpointSecret) else EndpointSecret(key, 0) for key in keys),
        headers=headers or {},
        policy=policy,
        options=options,
        ordered=False,
        throttle_rate=None,
        metadata={},
        created_at_ms=0,
        updated_at_ms=0,
    )


def make_message(
    payload: bytes = b'{"id":"resp_123","sum":1.50}',
    event_type: str = "response.completed",
    *,
    id: str = MESSAGE_ID,  # noqa: A002 -- the field's name
    created_at_ms: int = ACCEPTED_AT_MS,
    event_id: str | None = None,
    payload_expired: bool = False,
) -> Message:
    return Message(
        id=id,
        org_id="org_1",
        app_id="app_1",
        event_type=event_type,
        payload=payload,
        targets=("ep_01h455vb4pex5vsknk084sn02q",),
        created_at_ms=created_at_ms,
        event_id=event_id,
        payload_expired=payload_expired,
    )
