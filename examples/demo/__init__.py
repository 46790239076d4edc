"""The demo that `scripts/demo` runs: one server, one receiver, a subscriber for each dialect, real events.

Everything in it is what a user of Hookline has: the server is the program `hookline serve` in a process of its own,
it is managed over its HTTP API, and each delivery is judged by the library of the vendor whose format it is in.
"""
