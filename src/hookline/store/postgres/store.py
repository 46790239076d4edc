"""`PostgresStore`: the `Store` protocol over PostgreSQL, by many nodes at once.

    new ──migrate──> new ──open──> open ──close──> closed

A lost connection changes nothing of that: whoever asks meanwhile gets `StoreUnavailableError`, and the next one who
asks after the server is back gets an answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hookline.clock import Clock, SystemClock
from hookline.store.postgres import partitions, setup
from hookline.store.postgres.alerts import Alerts
from hookline.store.postgres.answers import Answers
from hookline.store.postgres.catalog import Catalog
from hookline.store.postgres.claiming import Claiming
from hookline.store.postgres.committing import Committing
from hookline.store.postgres.connections import Address
from hookline.store.postgres.counting import Counting
from hookline.store.postgres.erasing import Erasing
from hookline.store.postgres.expunging import Expunging
from hookline.store.postgres.health import Health
from hookline.store.postgres.jobs import Jobs
from hookline.store.postgres.listening import Listening
from hookline.store.postgres.listing import Listing
from hookline.store.postgres.management import Management
from hookline.store.postgres.nodes import Nodes
from hookline.store.postgres.pruning import Pruning
from hookline.store.postgres.rates import Rates
from hookline.store.postgres.reading import Reading
from hookline.store.postgres.tasks import Tasks
from hookline.store.postgres.tokens import Tokens
from hookline.store.queries import load_queries
from hookline.store.sealing import KeyRing

READERS: Final = 4

_SQL = load_queries("postgres", "schema")


class PostgresStore(
    Management,
    Catalog,
    Tokens,
    Answers,
    Tasks,
    Jobs,
    Reading,
    Listing,
    Counting,
    Expunging,
    Committing,
    Claiming,
    Nodes,
    Rates,
    Erasing,
    Pruning,
    Health,
    Alerts,
):
    """See the module. Append `?pgbouncer=true` to the URL when PgBouncer stands between, in transaction mode.

    `clock` is asked only for which weeks to make partitions; leases run on the server's own.

    Raises:
        KeyCheckError: there is no key ring.
    """

    def __init__(
        self, database_url: str, *, key_ring: KeyRing | None, clock: Clock | None = None, readers: int = READERS
    ) -> None:
        super().__init__(
            Address.from_url(database_url),
            setup.require_key_ring(key_ring),
            clock or SystemClock(),
            readers=readers,
        )
        self._unsure = {}
        self._fanouts = {}
        self._skipped = set()
        self._unsure_claims = {}
        self._listening = Listening(self._server)

    async def open(self, *, engine: bool) -> None:
        try:
            await setup.require_schema(self._reads)
            await setup.check_key(self._reads, self._key_ring)
            if engine:
                await partitions.ensure_partitions(self._upkeep, self._clock.now_ms())
            await self._listening.start()
        except BaseException:
            await self.close()
            raise

    async def migrate(self) -> list[str]:
        now_ms = self._clock.now_ms()
        applied = await setup.migrate(self._upkeep, now_ms)
        await partitions.ensure_partitions(self._upkeep, now_ms)
        return applied

    async def ping(self) -> None:
        await self._reads.fetch_value(_SQL["ping"])

    def subscribe(self, listener: Callable[[str, str], None]) -> None:
        self._listening.subscribe(listener)

    async def close(self) -> None:
        await self._listening.stop()
        for pool in self._pools:
            await pool.close()
