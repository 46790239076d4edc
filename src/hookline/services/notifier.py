"""Notifiers: how people are told, by mail, Slack, Teams or whatever the operator set up.

    await notifier.send("team", Notification("Many failures", "75% of the attempts ...", good=False))

Tenants name notifiers and never see, or choose, an address: those are the operator's alone (`HOOKLINE_NOTIFIERS`).
`AppriseNotifier` sends by the library of that name, from the extra `[alerts]`, which is imported with the first
notification. `MemoryNotifier` keeps what it is given, for tests.
"""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, Protocol

import msgspec

from hookline.services.errors import ServiceError

SEND_TIMEOUT_S: Final = 60.0  # for all addresses of a notifier together


class Notification(msgspec.Struct, frozen=True):
    """What people read. `good` news are shown as such where the way has colours."""

    title: str
    body: str
    good: bool


class UnknownNotifierError(ServiceError):
    """The operator has no notifier of this name."""

    code = "notifier_unknown"

    def __init__(self, name: str, names: Iterable[str]) -> None:
        known = ", ".join(sorted(names)) or "none"
        super().__init__(f"There is no notifier {name!r}. HOOKLINE_NOTIFIERS has: {known}.")


class NotifierMissingError(ServiceError):
    """Notifiers are set up, and what sends their notifications is not installed."""

    code = "notifier_missing"

    def __init__(self) -> None:
        super().__init__("HOOKLINE_NOTIFIERS needs the extra [alerts]: pip install 'hookline[alerts]'.")


class NotifyError(ServiceError):
    """A notification did not get through, on at least one of its ways. Says nothing of addresses: they are secrets."""

    code = "notify_failed"


class Notifier(Protocol):
    """Sends notifications by name."""

    @property
    def names(self) -> Collection[str]: ...

    async def send(self, name: str, notification: Notification) -> None:
        """Return when it is handed over.

        Raises:
            UnknownNotifierError: there is no such notifier.
            NotifyError: it did not get through. Sending again may repeat what did.
        """
        ...


class MemoryNotifier:
    """Keeps what it is given; those in `broken` let nothing through."""

    def __init__(self, names: Collection[str], *, broken: Collection[str] = ()) -> None:
        self._names = frozenset(names)
        self.broken = set(broken)
        self.sent: list[tuple[str, Notification]] = []

    @property
    def names(self) -> Collection[str]:
        return self._names

    async def send(self, name: str, notification: Notification) -> None:
        if name not in self._names:
            raise UnknownNotifierError(name, self._names)
        if name in self.broken:
            raise NotifyError(f"The notifier {name!r} did not get it through.")
        self.sent.append((name, notification))


class AppriseNotifier:
    """Sends to the addresses of each notifier, such as `mailto://...`, `slack://...`, `msteams://...`.

    Raises:
        NotifierMissingError: there are notifiers, and apprise is not installed.
    """

    def __init__(self, addresses: Mapping[str, tuple[str, ...]]) -> None:
        if addresses and importlib.util.find_spec("apprise") is None:
            raise NotifierMissingError
        self._addresses = dict(addresses)
        self._targets: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"AppriseNotifier({sorted(self._addresses)})"  # addresses carry credentials

    __str__ = __repr__

    @property
    def names(self) -> Collection[str]:
        return self._addresses.keys()

    async def send(self, name: str, notification: Notification) -> None:
        if name not in self._addresses:
            raise UnknownNotifierError(name, self._addresses)
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                sent = await asyncio.to_thread(self._send, name, notification)
        except TimeoutError:
            sent = False
        if not sent:
            raise NotifyError(
                f"The notifier {name!r} did not get it through on at least one of its ways; "
                "`hookline alert test` tries again, and the log says what was answered."
            )

    def _send(self, name: str, notification: Notification) -> bool:
        import apprise  # noqa: PLC0415 -- an extra, and slow to import: only who notifies pays for it

        target = self._targets.get(name)
        if target is None:
            asset = apprise.AppriseAsset(app_id="Hookline", app_desc="Hookline", async_mode=False, secure_logging=True)
            target = apprise.Apprise(asset=asset)
            for number, address in enumerate(self._addresses[name], 1):
                if not target.add(address):
                    raise NotifyError(f"Address {number} of the notifier {name!r} is none that apprise understands.")
            self._targets[name] = target
        kind = apprise.NotifyType.SUCCESS if notification.good else apprise.NotifyType.FAILURE
        return bool(target.notify(body=notification.body, title=notification.title, notify_type=kind))
