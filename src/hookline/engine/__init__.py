"""The delivery engine: ingest, dispatch, lanes, recording, rescue, relay, pruning."""

from hookline.engine.drafts import Draft, Receipt
from hookline.engine.engine import Engine, EngineHealth, Role
from hookline.engine.errors import EngineError, OverloadedError, StoppingError, UnknownApplicationError
from hookline.engine.ingest import Ingest
from hookline.engine.options import EngineOptions
from hookline.engine.routing import Routing
from hookline.engine.stats import LATENCY_BUCKETS_S, Histogram, Stats
from hookline.engine.trial import Trial

__all__ = [
    "LATENCY_BUCKETS_S",
    "Draft",
    "Engine",
    "EngineError",
    "EngineHealth",
    "EngineOptions",
    "Histogram",
    "Ingest",
    "OverloadedError",
    "Receipt",
    "Role",
    "Routing",
    "Stats",
    "StoppingError",
    "Trial",
    "UnknownApplicationError",
]
