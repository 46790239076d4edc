"""What the crash tests are made of: real nodes, real sockets, an exact ledger, and somebody who pulls the plug.

World        a database, nodes of `hookline serve`, a receiver, publishers; everything below hangs on it
Node         one server process: spawned, killed, frozen, told to die at a named point
Publisher    sends over keep-alive connections; what is acknowledged is on disk before it counts
Receiver     checks every arrival, answers badly now and then
Ledger       who promised what, and what came of it; its `Report` is the verdict
rounds       kills at random moments
scenarios    kills at the worst moments
"""
