"""How fast `commit` is: messages to one endpoint and their successes, in transactions of several sizes.

    python bench/store.py                                  a fresh SQLite file in the current directory's file system
    python bench/store.py postgresql://user@host/empty     a database that may be written to

Each transaction holds N new messages of 1 KB and the outcomes of the N messages before. «CPU» is this process's own.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time

from hookline.model import Application, Attempt, AttemptStatus, Kind, Message
from hookline.model.ids import APPLICATION, ATTEMPT, BATCH, ENDPOINT, MESSAGE, new_id
from hookline.store import Commit, KeyRing, NewMessage, Outcome, create_store

SIZES = (1, 10, 100, 500)
PAYLOAD_BYTES = 1024
ROWS_PER_SIZE = {1: 2_000, 10: 10_000, 100: 50_000, 500: 100_000}


def build(app: Application, endpoint_id: str, count: int, now_ms: int, payload: bytes) -> list[Message]:
    return [
        Message(new_id(MESSAGE), app.org_id, app.id, "response.completed", payload, (endpoint_id,), now_ms)
        for _ in range(count)
    ]


def succeed(message: Message, now_ms: int) -> Outcome:
    return Outcome(
        Attempt(
            new_id(ATTEMPT),
            message.app_id,
            message.id,
            message.targets[0],
            Kind.SCHEDULED,
            1,
            "https://example.com/webhooks/hookline",
            AttemptStatus.SUCCEEDED,
            True,
            "",
            "",
            200,
            b"ok",
            12,
            now_ms,
        )
    )


async def measure(database_url: str, scale: float) -> None:
    store = create_store(database_url, key_ring=KeyRing.generate())
    await store.migrate()
    await store.open(engine=True)
    now_ms = time.time_ns() // 1_000_000
    app = await store.create_application(Application(new_id(APPLICATION), "org_bench", None, "bench", None, {}, 0, 0))
    node = await store.register_node("node_bench", 3600)
    loaded = await store.load_routing(app.id)
    assert loaded is not None
    endpoint_id = new_id(ENDPOINT)
    print(f"{'per commit':>10} {'messages/s':>12} {'us/message':>11} {'CPU us/message':>15} {'ms/commit':>10}")
    for size in SIZES:
        commits = max(2, round(ROWS_PER_SIZE[size] * scale / size))
        changes, before, batch_id = [], None, None
        for _ in range(commits):
            messages = build(app, endpoint_id, size, now_ms, os.urandom(PAYLOAD_BYTES))
            next_id = new_id(BATCH)
            changes.append(
                Commit(
                    node,
                    now_ms,
                    next_id,
                    [NewMessage(message) for message in messages],
                    {app.id: loaded[0]},
                    [succeed(message, now_ms) for message in before or ()],
                    settled_batches=[batch_id] if batch_id else (),
                )
            )
            before, batch_id = messages, next_id
        await store.commit(changes[0])
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        for change in changes[1:]:
            await store.commit(change)
        wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
        done = (commits - 1) * size
        print(
            f"{size:>10} {done / wall_s:>12,.0f} {wall_s / done * 1e6:>11.1f} {cpu_s / done * 1e6:>15.1f} "
            f"{wall_s / (commits - 1) * 1e3:>10.2f}"
        )
    await store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database_url", nargs="?")
    parser.add_argument("--scale", type=float, default=1.0, help="do more or less of it")
    arguments = parser.parse_args()
    if arguments.database_url:
        asyncio.run(measure(arguments.database_url, arguments.scale))
        return
    with tempfile.TemporaryDirectory(dir=".", prefix=".bench-") as directory:
        asyncio.run(measure(f"sqlite:///{directory}/bench.db", arguments.scale))


if __name__ == "__main__":
    main()
