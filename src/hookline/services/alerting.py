"""Alerting: measures what alert rules watch, writes what changed, and tells people. On one node at a time.

    asleep ──every few seconds──> each rule: measured, evaluated ──a change──> written, with its operational webhook
                                                      └──somebody is to be told──> a task of its own sends, tries
                                                         again a few times, and then notes that they were told

The change is on disk before anybody is told, and that they were told afterwards: a node that dies in between costs a
repetition. Nothing waits for a notifier: a mail server that hangs holds up its own notification alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from typing import Final

from hookline.clock import Clock
from hookline.engine.background import Background
from hookline.engine.lease import Lease
from hookline.errors import HooklineError
from hookline.model.alerts import AlertRule, AlertState, describe, evaluate
from hookline.services.notifier import Notification, Notifier, NotifyError
from hookline.store.errors import StoreUnavailableError
from hookline.store.protocol import Store

log = logging.getLogger("hookline.services.alerting")

TASK: Final = "alerts"
EVERY_S: Final = 15.0
CHUNK: Final = 100
TRY_AGAIN_AFTER_S: Final = (2.0, 15.0, 60.0)  # then it is given up, and said in the log


class Alerting(Background):
    """`lease` is the node's; `try_again_after_s` are the pauses before a notification is tried again."""

    name = "alerting"

    def __init__(
        self,
        store: Store,
        lease: Lease,
        notifier: Notifier,
        clock: Clock,
        *,
        try_again_after_s: Sequence[float] = TRY_AGAIN_AFTER_S,
    ) -> None:
        super().__init__()
        self._store = store
        self._lease = lease
        self._notifier = notifier
        self._clock = clock
        self._try_again_after_s = tuple(try_again_after_s)
        self._telling: dict[str, asyncio.Task[None]] = {}
        #: notifications by what became of them: sent, failed
        self.notified: Counter[str] = Counter()

    async def stop(self) -> None:
        await super().stop()
        # Failure policy: whoever was not told yet is told by the next node that leads.
        tasks = list(self._telling.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def work(self) -> float:
        rules = await self._store.list_enabled_alert_rules("", CHUNK)
        while rules and self._lease.valid() and await self._store.take_lead(TASK, self._lease.node, 3 * EVERY_S):
            for rule in rules:
                await self._try_to_look_at(rule)
            rules = await self._store.list_enabled_alert_rules(rules[-1].id, CHUNK)
        return EVERY_S

    async def idle(self) -> None:
        """Return when nobody is being told of anything."""
        while self._telling:
            await asyncio.wait(self._telling.values())

    async def _try_to_look_at(self, rule: AlertRule) -> None:
        try:
            await self._look_at(rule)
        except StoreUnavailableError as error:
            # Failure policy: patient. The next round measures it again; one that takes too long holds up no others.
            log.info("rule not measured", extra={"action": "alert_waits", "rule": rule.id, "reason": error.message})

    async def _look_at(self, rule: AlertRule) -> None:
        now_ms = self._clock.now_ms()
        measure = await self._store.measure_alert(rule, now_ms)
        verdict = evaluate(rule, measure, now_ms)
        if verdict.changed:
            settled = await self._store.settle_alert(rule, verdict, measure, now_ms)
            if settled is None:
                return  # somebody changed the rule meanwhile: the next round looks at it anew
            rule = settled
            extra = {"action": f"alert_{rule.state.value}", "rule": rule.id, "org": rule.org_id, "value": measure.value}
            log.warning("alert %s", rule.state.value, extra=extra)
        if verdict.tell and rule.id not in self._telling:
            self._tell(rule, write_notification(rule, measure.value))

    def _tell(self, rule: AlertRule, notification: Notification) -> None:
        task = asyncio.create_task(self._tell_all(rule, notification), name=f"notify-{rule.id}")
        self._telling[rule.id] = task
        task.add_done_callback(lambda _: self._telling.pop(rule.id, None))

    async def _tell_all(self, rule: AlertRule, notification: Notification) -> None:
        """Tell everybody; whom it did not reach again, after a pause. Then note it, whether or not it got through."""
        begun_ms = self._clock.now_ms()
        left = list(rule.notify)
        for pause_s in (0.0, *self._try_again_after_s):
            if left:
                await asyncio.sleep(pause_s)
                left = [name for name in left if not await self._send(name, notification)]
        if left:
            # Failure policy: open. People are told by what else there is (the webhook, the log); the rule goes on.
            extra = {"action": "notify_failed", "rule": rule.id, "notifiers": ", ".join(left)}
            log.error("notification given up", extra=extra)
        try:
            await self._store.note_told(rule, begun_ms)
        except StoreUnavailableError as error:
            # Failure policy: open. They may be told again.
            log.info("not noted", extra={"action": "note_told_failed", "reason": error.message})

    async def _send(self, name: str, notification: Notification) -> bool:
        """Whether this name is done with: told, or nobody whom trying again would reach."""
        try:
            await self._notifier.send(name, notification)
        except NotifyError as error:
            self.notified["failed"] += 1
            log.warning("not notified", extra={"action": "notify_retry", "notifier": name, "reason": error.message})
            return False
        except HooklineError as error:
            self.notified["failed"] += 1
            log.warning("not notified", extra={"action": "notify_failed", "notifier": name, "reason": error.message})
            return True
        except Exception:
            # Failure policy: open. A library's mistake must not end this service; it is tried again.
            self.notified["failed"] += 1
            log.exception("not notified", extra={"action": "notify_retry", "notifier": name})
            return False
        self.notified["sent"] += 1
        return True


def write_notification(rule: AlertRule, value: float) -> Notification:
    """What people read of a rule's state."""
    firing = rule.state is AlertState.FIRING
    where = rule.org_id if rule.app_id is None else f"{rule.org_id}, application {rule.app_id}"
    return Notification(
        title=f"{'Alert' if firing else 'Resolved'}: {rule.name}",
        body=f"{describe(rule.kind, value, rule.window_ms)}\n{where}\nRule {rule.id}, threshold {rule.threshold:g}",
        good=not firing,
    )
