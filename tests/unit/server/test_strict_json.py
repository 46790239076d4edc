"""Reading bodies strictly takes no longer than their size says, whatever is in them."""

from __future__ import annotations

import time

import pytest

from hookline.server.routing import read_strict_json
from hookline.server.surfaces.svix.message_body import read_message
from hookline.services import InvalidError

#: as many members as one request has room for
MEMBERS = b",".join(b'"%d":1' % number for number in range(100_000))


def test_one_member_of_many_that_is_there_twice() -> None:
    began_s = time.perf_counter()
    with pytest.raises(InvalidError, match="there twice") as refused:
        read_strict_json(b'{%b,"a":1,"a":1}' % MEMBERS)
    assert refused.value.problems[0].field == ("a",)
    assert time.perf_counter() - began_s < 5


def test_a_message_with_a_hundred_thousand_members_beside_its_own() -> None:
    body = b'{"eventType":"a.b","payload":{"payload":1},%b%b}'
    began_s = time.perf_counter()
    assert read_message(body % (MEMBERS, b"")).payload == b'{"payload":1}'
    with pytest.raises(InvalidError, match="there twice"):
        read_message(body % (MEMBERS, b',"payload":{}'))
    assert time.perf_counter() - began_s < 5
