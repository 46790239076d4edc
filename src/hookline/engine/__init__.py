"""The delivery engine: ingest, dispatch, lanes, recording, rescue, relay, pruning."""
