"""What the demo shows: who subscribes to what, and which events happen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from hookline.model.ids import hex_of

APPLICATION = "demo"


@dataclass(frozen=True, slots=True)
class Subscriber:
    """An endpoint: its uid, its dialect, what it wants, where it looks for a signature.

    `judges` are the packages that verify what it gets; empty where Python's own `hmac` does.
    """

    uid: str
    dialect: str
    event_types: tuple[str, ...]
    signature_header: str
    judges: tuple[str, ...] = ()

    def wants(self, event_type: str) -> bool:
        return event_type in self.event_types

    def name_judges(self) -> str:
        """The libraries that verify, with their versions."""
        return ", ".join(f"{package} {version(package)}" for package in self.judges) or "Python's hmac"

    def webhook_id(self, message_id: str) -> str:
        """The `webhook-id` under which a message arrives here: OpenAI's has the digits of the message's own."""
        return f"wh_{hex_of(message_id)}" if self.dialect == "openai" else message_id


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened."""

    type: str
    payload: Mapping[str, Any]


# One event goes to everybody, each time in another format; the other two are for those who know them.
INVOICE = Event("invoice.paid", {"id": "in_1001", "amount": 4200, "currency": "eur", "customer": "Åsa Lindqvist"})
RESPONSE = Event("response.completed", {"id": "resp_1001"})
TRANSCRIPTION = Event(
    "TranscriptionCompletion",
    {"id": "7f1c0a2e-3b64-4c52-9d0e-5a1f6b7c8d90", "status": "Succeeded", "locale": "en-US", "name": "Standup"},
)

EVENTS = (INVOICE, RESPONSE, TRANSCRIPTION)

SUBSCRIBERS = (
    Subscriber("standard", "standard", (INVOICE.type,), "webhook-signature", ("standardwebhooks",)),
    Subscriber("standard-svix", "standard", (INVOICE.type,), "svix-signature", ("svix",)),
    Subscriber("openai", "openai", (INVOICE.type, RESPONSE.type), "webhook-signature", ("openai",)),
    Subscriber("speech", "speech", (INVOICE.type, TRANSCRIPTION.type), "X-MicrosoftSpeechServices-Signature"),
    Subscriber("plain", "plain", (INVOICE.type,), "X-Webhook-Signature"),
    Subscriber("cloudevents", "cloudevents", (INVOICE.type,), "webhook-signature", ("cloudevents", "standardwebhooks")),
)
