"""The benchmark: a real server, a real load, and exact books. Run it with `scripts/bench`."""
