"""One suite for every notifier: the one in memory, and apprise against a real HTTP sink."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from hookline.services.notifier import (
    AppriseNotifier,
    MemoryNotifier,
    Notification,
    Notifier,
    NotifierMissingError,
    NotifyError,
    UnknownNotifierError,
)
from support.server import Receiver

BAD = Notification("Alert: ä <b>", "75% failed.\nSee there.", good=False)
GOOD = Notification("Resolved", "All is well.", good=True)


class Case:
    """A notifier with a name that works and one that does not, and what arrived: title, body, kind."""

    def __init__(self, notifier: Notifier, arrived: Callable[[], tuple[str, str, bool]]) -> None:
        self.notifier = notifier
        self.arrived = arrived


@pytest.fixture(params=["memory", "apprise"])
def case(request: pytest.FixtureRequest, receiver: Receiver) -> Iterator[Case]:
    if request.param == "memory":
        memory = MemoryNotifier(["works", "broken"], broken=["broken"])

        def newest() -> tuple[str, str, bool]:
            _, sent = memory.sent[-1]
            return sent.title, sent.body, sent.good

        yield Case(memory, newest)
        return
    address = receiver.url.replace("http://", "json://")

    def read() -> tuple[str, str, bool]:
        body = json.loads(receiver.next().body)
        return body["title"], body["message"], body["type"] == "success"

    addresses = {"works": (f"{address}/200/a",), "broken": (f"{address}/500/b",)}
    yield Case(AppriseNotifier(addresses), read)


async def test_its_names(case):
    assert sorted(case.notifier.names) == ["broken", "works"]


@pytest.mark.parametrize("notification", [BAD, GOOD], ids=["bad", "good"])
async def test_what_is_sent_arrives(case, notification):
    await case.notifier.send("works", notification)
    assert case.arrived() == (notification.title, notification.body, notification.good)


async def test_what_does_not_get_through_is_said(case):
    with pytest.raises(NotifyError, match="broken"):
        await case.notifier.send("broken", BAD)


async def test_an_unknown_name_is_refused(case):
    with pytest.raises(UnknownNotifierError, match=r"no notifier 'other'.*broken, works"):
        await case.notifier.send("other", BAD)


# --- apprise alone


async def test_all_addresses_of_a_name_are_told(receiver):
    address = receiver.url.replace("http://", "json://")
    await AppriseNotifier({"both": (f"{address}/200/a", f"{address}/200/b")}).send("both", BAD)
    assert {receiver.next().path, receiver.next().path} == {"/200/a", "/200/b"}


async def test_one_address_that_fails_is_a_failure_and_the_others_are_told(receiver):
    address = receiver.url.replace("http://", "json://")
    with pytest.raises(NotifyError):
        await AppriseNotifier({"both": (f"{address}/500/a", f"{address}/200/b")}).send("both", BAD)
    assert {receiver.next().path, receiver.next().path} == {"/500/a", "/200/b"}


async def test_an_address_that_nobody_understands_is_not_shown():
    notifier = AppriseNotifier({"odd": ("nothing-like-it://user:s3cret@host",)})
    with pytest.raises(NotifyError, match="Address 1") as refused:
        await notifier.send("odd", BAD)
    assert "s3cret" not in str(refused.value)
    assert "s3cret" not in repr(notifier)


async def test_without_the_extra_the_error_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "apprise", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert AppriseNotifier({}).names == {}.keys()
    with pytest.raises(NotifierMissingError, match=r"hookline\[alerts\]"):
        AppriseNotifier({"team": ("json://localhost",)})


def test_nothing_is_imported_before_the_first_notification():
    code = "import sys, hookline.server.runtime; print('apprise' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
