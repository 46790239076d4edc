"""The pre-keyed HMAC is HMAC-SHA256, for keys of every length around the block size."""

from __future__ import annotations

import hashlib
import hmac
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.signatures import KeyedHmac


@pytest.mark.parametrize("key_length", [0, 1, 24, 32, 63, 64, 65, 75, 128, 1000])
def test_equals_the_standard_library_at_each_key_length(key_length: int) -> None:
    key = bytes(number % 251 for number in range(key_length))
    assert KeyedHmac(key).digest(b"message") == hmac.new(key, b"message", hashlib.sha256).digest()


@given(st.binary(max_size=200), st.lists(st.binary(max_size=300), max_size=5))
def test_one_object_digests_many_messages_independently(key: bytes, messages: list[bytes]) -> None:
    keyed = KeyedHmac(key)
    assert [keyed.digest(message) for message in messages] == [
        hmac.new(key, message, hashlib.sha256).digest() for message in messages
    ]


def test_threads_may_share_it() -> None:
    keyed = KeyedHmac(b"k" * 32)
    messages = [bytes([number]) * 5000 for number in range(40)]
    results: dict[int, bytes] = {}

    def digest_all(start: int) -> None:
        for index in range(start, len(messages), 4):
            results[index] = keyed.digest(messages[index])

    threads = [threading.Thread(target=digest_all, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = [hmac.digest(b"k" * 32, message, "sha256") for message in messages]
    assert [results[index] for index in range(len(messages))] == expected


def test_repr_shows_no_key() -> None:
    assert "secret" not in repr(KeyedHmac(b"secret"))
