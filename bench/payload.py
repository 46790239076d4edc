"""What every message carries: about 1 KB of JSON, such as an API sends about one of its objects."""

from __future__ import annotations

import json

PAYLOAD_BYTES = 1024


def make_payload() -> str:
    """JSON of exactly PAYLOAD_BYTES, the same each time."""
    event = {
        "object": "invoice",
        "id": "in_0123456789abcdef",
        "customer": {"id": "cus_0123456789", "name": "Example Company", "email": "billing@example.com"},
        "currency": "eur",
        "total": 1999,
        "paid": True,
        "lines": [
            {
                "id": f"il_{number:08}",
                "description": f"Item number {number}",
                "quantity": number,
                "amount": 199 * number,
            }
            for number in range(1, 8)
        ],
        "note": "",
    }
    missing = PAYLOAD_BYTES - len(_encode(event))
    if missing < 0:
        raise AssertionError("the payload has outgrown its size")
    return _encode(event | {"note": "x" * missing})


def _encode(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
