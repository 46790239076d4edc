"""Nothing secret in what people see."""

from __future__ import annotations

import pytest

from hookline.server.masking import mask_secret, mask_text, mask_url, mask_value


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:hunter2@h:5432/d", "postgresql://u:***@h:5432/d"),
        ("postgresql://u:hun@ter2@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        ("postgresql://h/d?user=u&password=hunter2&x=1", "postgresql://h/d?user=u&password=***&x=1"),
        ("postgresql://h/d?sslpassword=hunter2", "postgresql://h/d?sslpassword=***"),
        ("http://u:hunter2@proxy:3128", "http://u:***@proxy:3128"),
        ("sqlite:///hookline.db", "sqlite:///hookline.db"),
        ("sqlite:////var/lib/x.db", "sqlite:////var/lib/x.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("http://[::1", "***"),
    ],
)
def test_urls_keep_everything_but_the_password(url, shown):
    assert mask_url(url) == shown


def test_a_key_ring_keeps_its_ids():
    assert mask_secret("k1:AAAA, k2:BBBB") == "k1:***,k2:***"
    assert mask_secret("hunter2hunter2") == "***"


@pytest.mark.parametrize(
    "text",
    [
        "authorization: Bearer hunter2hunter2",
        "Basic aHVudGVyMmh1bnRlcjI=",
        "the secret whsec_hunter2hunter2hunter2 leaked",
        "whsk_hunter2hunter2",
        "key hk_hunter2hunter2-_x",
        "connect to postgresql://u:hunter2@h/d failed",
        "token eyJhbunter2.eyJzdWIiOiJo.hunter2 seen",
    ],
)
def test_secrets_in_texts(text):
    masked = mask_text(text)
    assert "unter2" not in masked
    assert "***" in masked


def test_harmless_texts_stay():
    text = "POST /api/v1/app/app_01/msg 202 12 ms from 127.0.0.1:4711, key_01 of http://h:80/x"
    assert mask_text(text) == text


@pytest.mark.parametrize(
    "name", ["secret", "jwt_secret", "password", "Authorization", "set-cookie", "api_key", "token", "access_token"]
)
def test_values_under_the_name_of_a_secret(name):
    assert mask_value(name, "x") == "***"
    assert mask_value("outer", {name: ["x"]}) == {name: "***"}


def test_values_under_other_names():
    assert mask_value("tokens_issued", 3) == 3
    assert mask_value("key_id", "key_1") == "key_1"
    assert mask_value("secret", None) is None
    assert mask_value("headers", [("a", "Bearer hunter2hunter2")]) == [["a", "Bearer ***"]]
