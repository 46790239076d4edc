"""Who gets what: selection in one application's table."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from hookline.dialects import DialectError
from hookline.engine.options import EngineOptions
from hookline.engine.routing import MAX_TABLES, Route, Routing, RoutingTable
from hookline.model import Endpoint, EndpointStatus, Extras, RetryPolicy
from hookline.store.protocol import Routes
from support.samples import WHSEC, make_endpoint


def endpoint(name: str, **changes: object) -> Endpoint:
    return msgspec.structs.replace(make_endpoint("standard", WHSEC), id=name, **changes)


def table(*endpoints: Endpoint) -> RoutingTable:
    return RoutingTable("app_1", 7, endpoints, EngineOptions())


def test_filters_choose_by_type_and_channel():
    one = table(
        endpoint("all"),
        endpoint("orders", event_types=("order.*",)),
        endpoint("exact", event_types=("order.created",)),
        endpoint("north", channels=("north",)),
        endpoint("both", event_types=("order.*",), channels=("south", "north")),
    )
    assert one.select("order.created", ())[0] == ("all", "orders", "exact")
    assert one.select("order.paid", ("north",))[0] == ("all", "orders", "north", "both")
    assert one.select("invoice.paid", ("south",))[0] == ("all",)
    assert one.select("invoice.paid", ())[0] == ("all",)


def test_ordered_targets_are_named_beside():
    one = table(endpoint("a"), endpoint("b", ordered=True))
    assert one.select("x", ())[:3] == (("a", "b"), ("b",), None)


def test_a_paused_endpoint_collects_and_a_disabled_one_does_not():
    one = table(endpoint("p", status=EndpointStatus.PAUSED), endpoint("d", status=EndpointStatus.DISABLED))
    assert one.select("x", ())[0] == ("p",)


def test_a_message_for_one_endpoint_is_for_that_one_whatever_it_takes():
    one = table(
        endpoint("a"),
        endpoint("b", event_types=("other",), channels=("north",), ordered=True),
        endpoint("d", status=EndpointStatus.DISABLED),
    )
    assert one.select_only("a")[:3] == (("a",), (), None)
    assert one.select_only("b")[:3] == (("b",), ("b",), None)
    assert one.select_only("d")[:3] == (("d",), (), None), "it is owed, and goes when the endpoint returns"
    assert one.select_only("gone")[:3] == ((), (), "the endpoint that it was for is gone")
    assert table().select_only("gone").note == "the application has no endpoint"


@pytest.mark.parametrize(
    ("endpoints", "note"),
    [
        ((), "the application has no endpoint"),
        ((endpoint("a", event_types=("other",)),), "no endpoint takes this event type and channel"),
        ((endpoint("a", status=EndpointStatus.DISABLED),), "every endpoint is disabled"),
    ],
)
def test_nobody_has_a_reason(endpoints, note):
    assert table(*endpoints).select("x", ())[:3] == ((), (), note)


def test_a_hostile_sender_cannot_fill_memory_with_event_types():
    one = table(endpoint("a", event_types=("x.*",)))
    for number in range(5_000):
        assert one.select(f"x.{number}", ())[0] == ("a",)
    assert len(one._selections) <= 1_001


def test_a_route_takes_its_limits_from_the_operator():
    options = EngineOptions(retry_after_cap_s=60, request_timeout_s=3.0, retry_schedule_s=(1, 2, 3))
    assert Route(endpoint("a"), options).policy.schedule_s == (1, 2, 3)
    assert Route(endpoint("a"), options).policy.timeout_s == 3.0
    own = Route(endpoint("a", policy=RetryPolicy(schedule_s=(9,), timeout_s=7.0, retry_after_cap_s=5)), options)
    assert (own.policy.schedule_s, own.policy.timeout_s, own.policy.retry_after_cap_s) == ((9,), 7.0, 5)


def test_a_broken_secret_is_found_when_it_is_used_and_not_before():
    broken = make_endpoint("standard", "whsec_no")
    route = Route(broken, EngineOptions())
    with pytest.raises(DialectError):
        _ = route.prepared


class Loader:
    """The one method of a store that `Routing` asks, held until it is let go."""

    def __init__(self) -> None:
        self.loads = 0
        self.version = 1
        self.held = asyncio.Event()
        self.held.set()

    async def load_routing(self, app_id: str) -> Routes | None:
        self.loads += 1
        version = self.version
        await self.held.wait()
        return None if app_id == "none" else Routes(version, [])


async def test_one_load_serves_all_who_wait():
    loader = Loader()
    routing = Routing(loader, EngineOptions())
    tables = await asyncio.gather(*(routing.get("app") for _ in range(10)))
    assert loader.loads == 1
    assert len(set(map(id, tables))) == 1
    assert routing.cached("app") is tables[0]


async def test_a_load_that_was_overtaken_by_a_change_is_not_kept():
    loader = Loader()
    routing = Routing(loader, EngineOptions())
    loader.held.clear()
    waiting = asyncio.create_task(routing.get("app"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    routing.invalidate("app")
    loader.version = 2
    loader.held.set()
    assert (await waiting).version == 1
    assert routing.cached("app") is None
    assert (await routing.get("app")).version == 2


async def test_an_unknown_application_is_asked_for_every_time():
    loader = Loader()
    routing = Routing(loader, EngineOptions())
    assert await routing.get("none") is None
    assert await routing.get("none") is None
    assert loader.loads == 2


async def test_a_waiter_that_gives_up_does_not_take_the_load_with_it():
    loader = Loader()
    routing = Routing(loader, EngineOptions())
    loader.held.clear()
    first, second = asyncio.create_task(routing.get("app")), asyncio.create_task(routing.get("app"))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    loader.held.set()
    assert (await second).version == 1
    assert loader.loads == 1


async def test_tables_are_bounded():
    routing = Routing(Loader(), EngineOptions())
    for number in range(MAX_TABLES):
        routing._tables[str(number)] = table()
    assert await routing.get("app") is routing.cached("app")
    assert len(routing._tables) == MAX_TABLES
    assert routing.cached("0") is None


def filtered(name: str, conditions: dict[str, object], **changes: object) -> Endpoint:
    return endpoint(name, extras=Extras(filter=conditions), **changes)


def test_a_filter_looks_into_the_payload():
    one = table(
        endpoint("all"),
        filtered("large", {"amount": {">": 100}}),
        filtered("orders", {"amount": {">": 1}}, event_types=("order.*",), ordered=True),
    )
    assert one.select("order.paid", (), b'{"amount": 101}')[:3] == (("all", "large", "orders"), ("orders",), None)
    assert one.select("order.paid", (), b'{"amount": 2}')[:3] == (("all", "orders"), ("orders",), None)
    assert one.select("order.paid", (), b"{}")[:3] == (("all",), (), None)
    assert one.select("invoice.paid", ("eu",), b'{"amount": 101}').targets == ("all", "large")
    assert one.select("invoice.paid", ("eu",), b"not JSON").targets == ("all",)
    assert one.select("order.paid", ()).targets == ("all", "large", "orders")  # who might get it


def test_a_payload_is_read_once_and_only_where_a_filter_takes_its_type(monkeypatch):
    reads: list[bytes] = []
    monkeypatch.setattr("hookline.engine.routing.read_payload", lambda payload: reads.append(payload) or {"a": 1})
    one = table(
        endpoint("plain"),
        filtered("a", {"a": 1}, event_types=("x",)),
        filtered("b", {"a": 2}, event_types=("x",)),
        filtered("off", {"a": 1}, event_types=("y",), status=EndpointStatus.DISABLED),
    )
    assert one.select("y", (), b"1").targets == ("plain",)
    assert one.select("y", ("c",), b"2").targets == ("plain",)
    assert reads == []
    assert one.select("x", (), b"3").targets == ("plain", "a")
    assert one.select("x", ("c",), b"4").targets == ("plain", "a")
    assert reads == [b"3", b"4"]


def test_a_message_that_no_filter_takes_says_so():
    one = table(filtered("a", {"a": 1}))
    assert one.select("x", (), b"{}")[:3] == ((), (), "no endpoint's filter takes this payload")


def test_a_filter_that_cannot_be_understood_takes_nothing_and_harms_nobody(caplog):
    one = table(endpoint("plain"), filtered("new", {"a": {"from_the_future": 1}}))
    assert one.select("x", (), b'{"a": 1}').targets == ("plain",)
    assert "cannot be understood" in caplog.text


def test_filtered_types_do_not_fill_memory_either():
    one = table(filtered("a", {"a": 1}))
    for number in range(3_000):
        assert one.select(f"x.{number}", (), b'{"a": 1}').targets == ("a",)
    assert len(one._candidates) <= 1_001


def test_messages_for_endpoints_with_keys_bring_their_key():
    keyed = endpoint("keyed", ordered=True, extras=Extras(order_key="customer"))
    one = table(endpoint("plain"), keyed, endpoint("turns", ordered=True))
    first, same, none = (one.select("x", (), payload) for payload in (b'{"customer": 1}', b'{"customer": 1.0}', b"{}"))
    assert first.ordered == ("keyed", "turns")
    assert set(first.order_keys) == {"keyed"}
    assert first.order_keys == same.order_keys
    assert none.order_keys == {"keyed": ""}
    assert one.select_only("keyed", b"{}").order_keys == {"keyed": ""}
    assert not one.routes["keyed"].is_sequence
    assert one.routes["turns"].is_sequence


def test_a_path_that_cannot_be_understood_makes_the_order_stricter():
    broken = endpoint("keyed", ordered=True, extras=Extras(order_key="from[the]future"))
    assert table(broken).select("x", (), b'{"from": 1}').order_keys == {"keyed": ""}


def test_an_order_key_without_order_does_nothing():
    loose = endpoint("loose", extras=Extras(order_key="customer"))
    assert table(loose).select("x", (), b"{}").order_keys == {}
