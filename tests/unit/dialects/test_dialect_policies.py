"""Default retry policies, and which policy wins."""

from __future__ import annotations

import pytest

from hookline.dialects import DIALECTS, SecretForm, effective_policy, get_dialect
from hookline.model import RetryPolicy
from support.samples import make_endpoint


def test_defaults_are_the_documented_ones():
    standard = get_dialect("standard").default_policy
    assert (standard.attempts, sum(standard.schedule_s)) == (10, 272_105)
    assert get_dialect("cloudevents").default_policy == standard

    openai = get_dialect("openai").default_policy
    assert (openai.timeout_s, sum(openai.schedule_s)) == (10.0, 72 * 3600)
    assert openai.schedule_s[:9] == (5, 30, 120, 600, 1800, 3600, 7200, 14_400, 28_800)

    speech = get_dialect("speech").default_policy
    assert (speech.schedule_s, speech.jitter, speech.attempts) == ((1, 1, 1, 1, 1), 0.0, 6)

    plain = get_dialect("plain").default_policy
    assert (plain.schedule_s, plain.attempts, plain.timeout_s) == ((1, 2), 3, 10.0)
    assert [name for name, dialect in DIALECTS.items() if dialect.default_policy.final_client_errors] == ["plain"]


def test_secret_forms():
    assert {name: dialect.secret_form for name, dialect in DIALECTS.items()} == {
        "standard": SecretForm.STANDARD,
        "openai": SecretForm.SYMMETRIC,
        "speech": SecretForm.TEXT,
        "plain": SecretForm.TEXT,
        "cloudevents": SecretForm.STANDARD,
    }


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("override", [None, (), (1.0, 1.0)])
def test_endpoints_own_policy_wins_whole(name, override):
    own = RetryPolicy(schedule_s=(3,), jitter=0.0, timeout_s=20.0)
    assert effective_policy(get_dialect(name), make_endpoint(name, policy=own), override) is own


@pytest.mark.parametrize("name", DIALECTS)
def test_without_an_override_the_dialects_default_holds(name):
    dialect = get_dialect(name)
    assert effective_policy(dialect, make_endpoint(name), None) is dialect.default_policy


@pytest.mark.parametrize("name", ["standard", "cloudevents"])
@pytest.mark.parametrize("override", [(), (1.0, 1.0)])
def test_operators_schedule_replaces_the_schedule_only(name, override):
    policy = effective_policy(get_dialect(name), make_endpoint(name), override)
    assert policy == RetryPolicy(schedule_s=override)
    assert policy.attempts == len(override) + 1


@pytest.mark.parametrize("name", ["openai", "speech", "plain"])
def test_promises_of_other_platforms_are_kept(name):
    dialect = get_dialect(name)
    assert effective_policy(dialect, make_endpoint(name), (1.0,)) is dialect.default_policy
