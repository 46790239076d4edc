"""What is measured: how many endpoints there are, and how many of them want each message."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """Endpoints of one application, each at a port of its own.

    With `fan_out` 1 the messages' event types take turns and each is wanted by one endpoint, so that every message is
    delivered once; otherwise every endpoint wants every message. The last `silent` endpoints take every request and
    never answer: what is owed to them stays pending.
    """

    endpoints: int
    fan_out: int = 1
    silent: int = 0

    @property
    def name(self) -> str:
        name = str(self.endpoints) if self.fan_out == 1 else f"{self.endpoints}, fan-out {self.fan_out}"
        return name if not self.silent else f"{name}, {self.silent} silent"

    @property
    def event_types(self) -> list[str]:
        return [f"bench.event{number}" for number in range(self.endpoints)] if self.fan_out == 1 else ["bench.event"]

    def types_of(self, endpoint: int) -> list[str]:
        """What the endpoint with this index wants."""
        return [self.event_types[endpoint]] if self.fan_out == 1 else self.event_types

    def endpoints_of(self, event_type: str) -> list[int]:
        """The indexes of the endpoints that want an event type."""
        return [endpoint for endpoint in range(self.endpoints) if event_type in self.types_of(endpoint)]
