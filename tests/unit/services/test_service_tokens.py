"""Tokens: who they speak for, and until when. Forgeries are tried against a whole server elsewhere."""

from __future__ import annotations

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.clock import ManualClock
from hookline.services import AuthenticationError, ForbiddenError, InvalidError, Principal, Tokens, TokenSecretError
from hookline.services.tokens import APPLICATION_LIFETIME_S, ORGANIZATION_LIFETIME_S

SECRET = "a secret of more than thirty-two bytes"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def tokens(clock: ManualClock) -> Tokens:
    return Tokens(SECRET, clock)


def test_an_organization(tokens: Tokens, clock: ManualClock) -> None:
    token = tokens.issue_for_organization("org_1")
    assert tokens.read(token).principal == Principal("org_1")
    assert tokens.read(token).expires_s == clock.now_ms() / 1000 + ORGANIZATION_LIFETIME_S
    assert tokens.read(token).principal.require_organization().org_id == "org_1"


def test_an_application_may_not_do_everything(tokens: Tokens) -> None:
    principal = tokens.read(tokens.issue_for_application("org_1", "app_1")).principal
    assert principal.token_id is not None
    assert principal.token_id.startswith("tok_")
    assert principal == Principal("org_1", "app_1", may_send=False, token_id=principal.token_id)
    with pytest.raises(ForbiddenError):
        principal.require_organization()
    with pytest.raises(ForbiddenError):
        principal.require_sender()


@pytest.mark.parametrize("lifetime_s", [1, 60, APPLICATION_LIFETIME_S])
def test_they_end(tokens: Tokens, clock: ManualClock, lifetime_s: int) -> None:
    token = tokens.issue_for_application("org_1", "app_1", lifetime_s)
    clock.advance(lifetime_s - 0.5)
    tokens.read(token)
    clock.advance(0.5)
    with pytest.raises(AuthenticationError):
        tokens.read(token)


def test_clocks_may_differ_a_little(clock: ManualClock) -> None:
    ahead = ManualClock(clock.now_ms() + 59_000)
    Tokens(SECRET, clock).read(Tokens(SECRET, ahead).issue_for_organization("org_1"))
    ahead.advance(3)
    with pytest.raises(AuthenticationError):
        Tokens(SECRET, clock).read(Tokens(SECRET, ahead).issue_for_organization("org_1"))


def test_only_ids_get_tokens(tokens: Tokens) -> None:
    for org_id in ("", "org_", "company", "org_a b", "org_\n", "app_1"):
        with pytest.raises(InvalidError):
            tokens.issue_for_organization(org_id)
    for app_id in ("", "customer", "app_", "app_a.b", "org_1"):
        with pytest.raises(InvalidError):
            tokens.issue_for_application("org_1", app_id)
    with pytest.raises(InvalidError):
        tokens.issue_for_organization("org_1", 0)


def test_another_secret_reads_nothing(tokens: Tokens, clock: ManualClock) -> None:
    with pytest.raises(AuthenticationError):
        Tokens("x" * 32, clock).read(tokens.issue_for_organization("org_1"))


def test_short_secrets_are_refused(clock: ManualClock) -> None:
    with pytest.raises(TokenSecretError):
        Tokens("x" * 31, clock)


def test_the_secret_is_not_shown(tokens: Tokens) -> None:
    assert SECRET not in repr(tokens)


@given(st.text(max_size=300) | st.binary(max_size=100).map(lambda raw: raw.hex() + ".e30." + raw.hex()))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(AuthenticationError):
        Tokens(SECRET, ManualClock()).read(text)


@given(
    st.dictionaries(
        st.sampled_from(["sub", "org", "exp", "nbf", "iat", "jti", "sid", "gen", "capabilities", "feature_flags"]),
        st.none() | st.integers() | st.text() | st.lists(st.integers()) | st.lists(st.text()),
    )
)
def test_any_claims_are_read_or_refused(claims: dict[str, object]) -> None:
    """Signed by us, and still nothing but our own shape counts."""
    tokens = Tokens(SECRET, ManualClock())
    try:
        token = jwt.encode(claims, SECRET, algorithm="HS256")
    except TypeError:
        return
    try:
        principal = tokens.read(token).principal
    except AuthenticationError:
        return
    assert principal.org_id.startswith("org_")
