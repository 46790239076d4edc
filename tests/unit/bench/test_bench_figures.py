"""The benchmark's figures: percentiles, latencies, shapes, the payload, and the table."""

import json
from dataclasses import replace

import pytest
from bench.ledger import Ledger
from bench.pace import ACCEPTED, Sample, Spread, acknowledgement_spread, arrival_spread, spread
from bench.payload import PAYLOAD_BYTES, make_payload
from bench.report import COLUMNS, Row, make_markdown
from bench.shapes import Shape
from bench.sink import Arrival
from bench.trial import Trial

MS = 1_000_000
TRIAL = Trial(
    acknowledged_per_s=1000.0,
    delivered_per_s=999.0,
    acknowledgement=Spread(1.0, 2.0, 3.0),
    arrival=Spread(0.1, 0.2, 0.3),
    server_cpu_us=50.0,
    database_cpu_us=0.0,
    server_peak_mib=80.0,
    database_mib=0.0,
    drain_s=0.0,
    server_log="",
    refused=0,
    broken=0,
    repeats=0,
    saturated_p50_ms=10.0,
    saturated_p99_ms=20.0,
    ledger=Ledger(10, 10, 0, ()),
)


@pytest.mark.parametrize(
    ("count", "expected"), [(1, (1.0, 1.0, 1.0)), (2, (1.0, 2.0, 2.0)), (200, (100.0, 198.0, 200.0))]
)
def test_percentiles_are_samples_by_nearest_rank(count, expected):
    assert spread([number * MS for number in range(count, 0, -1)]) == Spread(*expected)


def test_nothing_has_no_percentiles():
    assert spread([]) is None


def test_latency_counts_from_the_scheduled_moment_and_arrival_from_the_acknowledgement():
    samples = [Sample(due_ns=10 * MS, answered_ns=13 * MS, status=ACCEPTED, message_id="msg_1")]
    assert acknowledgement_spread(samples) == Spread(3.0, 3.0, 3.0)
    assert arrival_spread(samples, [Arrival("msg_1", 0, 15 * MS), Arrival("msg_2", 0, 99 * MS)]) == Spread(
        2.0, 2.0, 2.0
    )


def test_a_refusal_is_no_acknowledgement():
    assert acknowledgement_spread([Sample(10 * MS, 11 * MS, 429, "-")]) is None


@pytest.mark.parametrize("shape", [Shape(1), Shape(10), Shape(10, fan_out=10), Shape(10, silent=1)])
def test_every_event_type_reaches_as_many_endpoints_as_the_shape_says(shape):
    assert {len(shape.endpoints_of(name)) for name in shape.event_types} == {shape.fan_out}
    assert {index for name in shape.event_types for index in shape.endpoints_of(name)} == set(range(shape.endpoints))


def test_the_payload_is_json_of_its_size():
    assert len(make_payload().encode()) == PAYLOAD_BYTES
    assert isinstance(json.loads(make_payload()), dict)


def test_a_row_shows_the_median_and_all_the_books():
    runs = [replace(TRIAL, delivered_per_s=rate) for rate in (10.0, 5000.0, 7000.0)]
    cells = Row("sqlite", Shape(1), runs).cells()
    assert len(cells) == len(COLUMNS)
    assert cells[3] == "5,000"
    assert cells[4:6] == ["1.0 / 2.0", "0.1 / 0.2"]
    assert cells[-1] == "30 = 30 + 0"


def test_one_void_run_voids_its_row():
    void = replace(TRIAL, ledger=Ledger(10, 9, 0, ("1 deliveries neither arrived nor are pending",)))
    row = Row("sqlite", Shape(1), [TRIAL, void, TRIAL])
    assert row.faults == ["run 2: 1 deliveries neither arrived nor are pending"]
    assert "**VOID** 30 = 29 + 0" in make_markdown([row])
