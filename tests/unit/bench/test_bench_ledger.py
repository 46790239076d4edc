"""The ledger: exact books pass, and each way of cooking them is found."""

from dataclasses import replace

import pytest
from bench.ledger import Books, balance

# One message to one endpoint, one to two; the last delivery is still pending. One request was cut off.
EXACT = Books(
    messages={"msg_1", "msg_2"},
    promised={("msg_1", 0), ("msg_2", 0), ("msg_2", 1)},
    settled={("msg_1", 0), ("msg_2", 0)},
    arrived={("msg_1", 0), ("msg_2", 0)},
    acknowledged=1,
    acknowledged_ids={"msg_1"},
    in_flight=1,
)


def test_exact_books_balance():
    ledger = balance(EXACT)
    assert ledger.is_exact
    assert (ledger.accepted, ledger.arrived, ledger.pending) == (3, 2, 1)


@pytest.mark.parametrize(
    ("books", "fault"),
    [
        (replace(EXACT, arrived={("msg_1", 0)}), "1 deliveries neither arrived nor are pending"),
        (replace(EXACT, arrived=EXACT.promised), "1 deliveries arrived and still count as pending"),
        (replace(EXACT, arrived={*EXACT.arrived, ("msg_1", 1)}), "1 deliveries arrived that nobody was promised"),
        (replace(EXACT, acknowledged_ids={"msg_3"}), "1 acknowledged messages are not in the database"),
        (replace(EXACT, acknowledged=5), "3 more messages were acknowledged than are stored"),
        (replace(EXACT, in_flight=0), "1 messages are stored that nobody can have sent"),
        (replace(EXACT, bad_requests=2), "2 requests reached the sink that it did not understand"),
    ],
    ids=["lost", "unrecorded", "invented", "forgotten", "overstated", "unsent", "bad"],
)
def test_cooked_books_are_found(books, fault):
    ledger = balance(books)
    assert not ledger.is_exact
    assert ledger.faults == (fault,)


def test_one_lost_and_one_invented_do_not_cancel_out():
    ledger = balance(replace(EXACT, arrived={("msg_1", 0), ("msg_9", 0)}))
    assert (ledger.accepted, ledger.arrived, ledger.pending) == (3, 2, 1)
    assert len(ledger.faults) == 2
