"""API keys: made, found, rotated, revoked."""

from __future__ import annotations

import pytest

from hookline.clock import ManualClock
from hookline.model import Application
from hookline.services import AuthenticationError, InvalidError, Keys, NotFoundError, Principal
from hookline.services.keys import hash_key, looks_like_key, principal_of
from hookline.store import Store


@pytest.fixture
def keys(store: Store, clock: ManualClock) -> Keys:
    return Keys(store, clock)


async def test_made_and_found(keys: Keys, clock: ManualClock) -> None:
    made = await keys.create("org_1", name="deploy")
    assert looks_like_key(made.text)
    assert (made.key.key_hash, made.key.hint) == (hash_key(made.text), made.text[-4:])
    assert made.key.created_at_ms == clock.now_ms()
    assert await keys.identify(made.text) == made.key
    assert principal_of(made.key) == Principal("org_1")
    assert await keys.list_keys("org_1") == [made.key]
    assert await keys.list_keys("org_2") == []


async def test_no_two_are_alike(keys: Keys) -> None:
    assert len({(await keys.create("org_1", name="k")).text for _ in range(20)}) == 20


async def test_for_one_application(keys: Keys, store: Store) -> None:
    await store.create_application(Application("app_1", "org_1", "mine", "App", None, {}, 1, 1))
    made = await keys.create("org_1", name="k", app="mine")
    assert principal_of(made.key) == Principal("org_1", "app_1", may_send=True)
    with pytest.raises(NotFoundError):
        await keys.create("org_2", name="k", app="mine")


async def test_bad_forms(keys: Keys, clock: ManualClock) -> None:
    for org_id, name, expires_at_ms in (
        ("company", "k", None),
        ("org_1", "", None),
        ("org_1", "k", clock.now_ms()),
    ):
        with pytest.raises(InvalidError):
            await keys.create(org_id, name=name, expires_at_ms=expires_at_ms)
    assert await keys.list_keys("org_1") == []


@pytest.mark.parametrize("text", ["", "hk_", "hk_" + "A" * 42, "hk_" + "A" * 44, "HK_" + "A" * 43, "hk_" + "A" * 43])
async def test_unknown_texts(keys: Keys, text: str) -> None:
    with pytest.raises(AuthenticationError):
        await keys.identify(text)


async def test_expiry(keys: Keys, clock: ManualClock) -> None:
    made = await keys.create("org_1", name="k", expires_at_ms=clock.now_ms() + 1_000)
    clock.advance(0.999)
    await keys.identify(made.text)
    clock.advance(0.001)
    with pytest.raises(AuthenticationError):
        await keys.identify(made.text)
    with pytest.raises(NotFoundError):
        await keys.rotate("org_1", made.key.id)


async def test_rotation_overlaps(keys: Keys, clock: ManualClock) -> None:
    old = await keys.create("org_1", name="k")
    new = await keys.rotate("org_1", old.key.id, overlap_s=10)
    clock.advance(9.9)
    await keys.identify(old.text)
    clock.advance(0.1)
    with pytest.raises(AuthenticationError):
        await keys.identify(old.text)
    assert (await keys.identify(new.text)).name == "k"


async def test_rotation_never_prolongs(keys: Keys, clock: ManualClock) -> None:
    ends_ms = clock.now_ms() + 5_000
    old = await keys.create("org_1", name="k", expires_at_ms=ends_ms)
    new = await keys.rotate("org_1", old.key.id, overlap_s=60)
    assert {key.expires_at_ms for key in await keys.list_keys("org_1")} == {ends_ms}
    assert new.key.expires_at_ms == ends_ms
    with pytest.raises(InvalidError):
        await keys.rotate("org_1", new.key.id, overlap_s=-1)


async def test_revocation_is_final(keys: Keys, clock: ManualClock) -> None:
    made = await keys.create("org_1", name="k")
    revoked = await keys.revoke("org_1", made.key.id)
    assert revoked.revoked_at_ms == clock.now_ms()
    with pytest.raises(AuthenticationError):
        await keys.identify(made.text)
    clock.advance(5)
    assert (await keys.revoke("org_1", made.key.id)).revoked_at_ms == revoked.revoked_at_ms


async def test_keys_of_others_are_not_there(keys: Keys) -> None:
    made = await keys.create("org_1", name="k")
    for call in (keys.rotate, keys.revoke):
        with pytest.raises(NotFoundError):
            await call("org_2", made.key.id)
    await keys.identify(made.text)
