"""Judge: switches off endpoints to which nothing but failures happened for too long.

    asleep ──now and then, one node for all──> who fails for so long? ──their attempts say──> wait │ heal │ disable

Commits note since when an endpoint fails, as far as they know: a success that another node saw while nothing was wrong
there is not noted. So nobody is disabled by that note alone: the attempts are the evidence, and correct it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from hookline.clock import Clock
from hookline.engine.background import Background
from hookline.engine.lease import Lease
from hookline.engine.options import EngineOptions
from hookline.model.health import FAILING, FailingEndpoint, Judgement, begin_of_last_part, explain, is_suspect, judge
from hookline.store.changes import Commit, Disable
from hookline.store.protocol import Catalog, EngineStore, Store
from hookline.store.scope import OrgScope

log = logging.getLogger("hookline.engine.judge")

TASK: Final = "judge"
LONGEST_PAUSE_S: Final = 60.0
SHORTEST_PAUSE_S: Final = 0.05


class Judge(Background):
    """`on_disabled` is told of each endpoint that was switched off."""

    name = "judge"

    def __init__(
        self,
        store: Store,
        lease: Lease,
        clock: Clock,
        options: EngineOptions,
        *,
        on_disabled: Callable[[Disable], None],
    ) -> None:
        super().__init__()
        self._store: EngineStore = store
        self._catalog: Catalog = store
        self._lease = lease
        self._clock = clock
        self._options = options
        self._on_disabled = on_disabled

    async def work(self) -> float:
        pause_s = self._pause_s()
        if self._lease.valid() and await self._store.take_lead(TASK, self._lease.node, 3 * pause_s):
            await self._judge_all()
        return pause_s

    def _pause_s(self) -> float:
        """A twentieth of the period is exact enough for anybody; an organization's own is no matter of seconds."""
        after_s = self._options.disable_after_s
        return min(LONGEST_PAUSE_S, max(SHORTEST_PAUSE_S, after_s / 20)) if after_s else LONGEST_PAUSE_S

    async def _judge_all(self) -> None:
        after_id = ""
        periods_s: dict[str, float] = {}
        while True:
            now_ms = self._clock.now_ms()
            found = await self._store.list_failing(now_ms, after_id, self._options.judge_chunk)
            for endpoint in found:
                if endpoint.org_id not in periods_s:
                    periods_s[endpoint.org_id] = await self._find_period(endpoint.org_id)
                period_s = periods_s[endpoint.org_id]
                if is_suspect(endpoint, period_s, now_ms):
                    await self._judge(endpoint, period_s, now_ms)
            if len(found) < self._options.judge_chunk:
                return
            after_id = found[-1].endpoint_id

    async def _find_period(self, org_id: str) -> float:
        own_s = (await self._catalog.get_organization(OrgScope(org_id))).settings.endpoint_disable_after_s
        return self._options.disable_after_s if own_s is None else float(own_s)

    async def _judge(self, endpoint: FailingEndpoint, period_s: float, now_ms: int) -> None:
        evidence = await self._store.weigh_failing(endpoint, begin_of_last_part(now_ms, period_s))
        judgement = judge(endpoint, evidence, period_s, now_ms)
        if judgement is Judgement.HEAL:
            await self._store.correct_failing(endpoint, evidence.failed_again_at_ms)
        elif judgement is Judgement.DISABLE:
            since_ms = endpoint.failing_since_ms
            detail = explain(FAILING, since_ms)
            disable = Disable(endpoint.app_id, endpoint.endpoint_id, FAILING, detail, since_ms)
            result = await self._store.commit(Commit(self._lease.node, now_ms, disables=[disable]))
            if result.disabled:
                self._on_disabled(disable)
