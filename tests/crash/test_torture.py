"""The crash tests, short: the same command and the same scenarios as the long runs (docs/reliability.md)."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from support.torture import rounds, scenarios
from support.torture.ledger import Ledger, Sent, Target, digest_of
from support.torture.publisher import make_payload
from support.torture.runs import (
    Run,
    plan_crash_loop,
    plan_lost_answers,
    plan_rescue_at_once,
    plan_return_after_lease,
    plan_scenarios,
)
from support.torture.world import Options, World

pytestmark = pytest.mark.timeout(300)  # a dozen servers start in some of these, on machines that may be busy

TORTURE = Path(__file__).with_name("torture.py")


def run_command(*arguments: str) -> str:
    done = subprocess.run([sys.executable, str(TORTURE), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def carry_out(run: Run, directory: Path) -> None:
    report = await run.carry_out(directory)
    assert report.faults == []
    assert report.acked > 0
    assert report.arrived == report.owed > report.acked
    assert report.judged_by_other > 0


def test_sqlite_keeps_its_promise_when_killed():
    output = run_command("--database", "sqlite", "--rounds", "4", "--seed", "7")
    assert "Everything that was acknowledged has arrived." in output


def test_postgres_keeps_its_promise_when_nodes_and_postmaster_are_killed():
    arguments = ("--database", "postgres", "--nodes", "2", "--rounds", "4", "--postmaster-kills", "1", "--seed", "7")
    assert "Everything that was acknowledged has arrived." in run_command(*arguments)


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
async def test_named_crash_points(database, tmp_path):
    runs = plan_scenarios(database, seed=11, times=1)[: len(scenarios.POINTS)]
    steps = tuple(step for run in runs for step in run.steps)
    await carry_out(Run("all points", runs[0].options, steps), tmp_path)


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
async def test_node_that_crashes_in_a_loop(database, tmp_path):
    await carry_out(plan_crash_loop(database, seed=5), tmp_path)


async def test_commit_whose_answer_is_lost(tmp_path):
    await carry_out(plan_lost_answers(seed=5, times=6), tmp_path)


async def test_two_nodes_rescue_at_once(tmp_path):
    await carry_out(plan_rescue_at_once(seed=5, times=1), tmp_path)


async def test_node_that_returns_after_its_lease(tmp_path):
    await carry_out(plan_return_after_lease(seed=5, times=1), tmp_path)


# The torture itself must be able to fail.


async def test_sabotage_is_found(tmp_path, monkeypatch):
    """What is owed vanishes behind the server's back: the verdict must say so."""
    monkeypatch.setattr("support.torture.world.STALL_S", 2.0)

    async def forget_what_is_owed(world: World) -> None:
        await world.flow(30)
        await world.nodes[0].kill()
        connection = sqlite3.connect(world.directory / "hookline.db", isolation_level=None)
        connection.execute("DELETE FROM hookline_batches")
        connection.execute("DELETE FROM hookline_pending")
        connection.close()
        await world.nodes[0].start()

    run = Run("sabotage", Options("sqlite", seed=3), (rounds.kill_node, forget_what_is_owed))
    report = await run.carry_out(tmp_path)
    assert report.lost
    assert "acknowledged deliveries never arrived" in report.faults[0]


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "log", [Target("one"), Target("two", event_types=("step.taken",), ordered=True)])


def note_sent(ledger: Ledger, number: int, event_type: str = "step.taken", stream: str = "steps") -> bytes:
    payload = make_payload(random.Random(number), number)
    ledger.note_sent(Sent(number, digest_of(payload), event_type, stream))
    return payload


def arrive(ledger: Ledger, target: int, message_id: str, body: bytes, **changes: bool) -> None:
    verdict = {"is_signed": True, "accepts": True} | changes
    ledger.note_arrival(ledger.targets[target], message_id, body, **verdict)


async def test_ledger_of_a_good_run(ledger):
    for number in (1, 2):
        body = note_sent(ledger, number)
        await ledger.acknowledge(f"msg_{number}", number)
        arrive(ledger, 0, f"msg_{number}", body)
        arrive(ledger, 1, f"msg_{number}", body, accepts=False)
        arrive(ledger, 1, f"msg_{number}", body)
    report = ledger.close()
    assert (report.faults, report.acked, report.owed, report.arrived, report.duplicates) == ([], 2, 4, 4, 0)


async def test_ledger_counts_what_is_missing(ledger):
    body = note_sent(ledger, 1)
    await ledger.acknowledge("msg_1", 1)
    arrive(ledger, 0, "msg_1", body)
    arrive(ledger, 0, "msg_1", body)
    arrive(ledger, 1, "msg_1", body, accepts=False)
    report = ledger.close()
    assert report.lost == [("msg_1", "two")]
    assert report.duplicates == 1
    assert report.faults


@pytest.mark.parametrize(
    "change", [lambda body: body + b" ", lambda body: body.replace(b"1.50", b"1.5"), lambda _: b""]
)
async def test_ledger_finds_other_bytes(ledger, change):
    arrive(ledger, 0, "msg_1", change(note_sent(ledger, 1)))
    assert ledger.close().wrong_bytes == 1


async def test_ledger_finds_what_an_endpoint_did_not_ask_for(ledger):
    arrive(ledger, 1, "msg_1", note_sent(ledger, 1, "order.paid"))
    assert ledger.close().wrong_bytes == 1


async def test_ledger_finds_an_invalid_signature(ledger):
    arrive(ledger, 0, "msg_1", note_sent(ledger, 1), is_signed=False)
    assert ledger.close().bad_signatures == 1


async def test_ledger_finds_two_messages_of_one_request(ledger):
    body = note_sent(ledger, 1)
    await ledger.acknowledge("msg_1", 1)
    arrive(ledger, 0, "msg_2", body)
    assert ledger.close().doubled == 1


async def test_ledger_finds_one_id_with_two_payloads(ledger):
    for number in (1, 2):
        arrive(ledger, 0, "msg_1", note_sent(ledger, number))
    assert ledger.close().wrong_bytes == 1


async def test_ledger_finds_disorder_within_a_stream(ledger):
    bodies = {number: note_sent(ledger, number) for number in (1, 2, 3)}
    other = note_sent(ledger, 0, stream="other")
    for number in (0, 1, 2, 3):
        await ledger.acknowledge(f"msg_{number}", number)
    arrive(ledger, 1, "msg_1", bodies[1])
    arrive(ledger, 1, "msg_3", bodies[3])
    arrive(ledger, 1, "msg_0", other)  # another stream: no order between the two
    arrive(ledger, 1, "msg_2", bodies[2])
    assert ledger.close().out_of_order == 1
