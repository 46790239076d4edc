"""The store's pure parts: migrations, queries, rows, keys, crash points."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from hookline.crashpoints import parse
from hookline.model import AttemptStatus, DeliveryState
from hookline.store import keys, records
from hookline.store.changes import MessageKey, NewMessage
from hookline.store.errors import MigrationError
from hookline.store.migrations import Applied, Migration, find_missing, list_migrations, require_current
from hookline.store.queries import load_queries
from support.store import NOW, ORG, message

ONE, TWO = Migration(1, "one", "c1", ""), Migration(2, "two", "c2", "")
DONE_ONE, DONE_TWO = Applied(1, "one", "c1"), Applied(2, "two", "c2")


# --- migrations


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_migrations_are_numbered_from_one_without_gaps(database):
    found = list_migrations(database)
    assert [migration.version for migration in found] == list(range(1, len(found) + 1))
    assert all(len(migration.checksum) == 64 and migration.sql for migration in found)


def test_both_databases_have_the_same_migrations():
    names = [[(each.version, each.name) for each in list_migrations(one)] for one in ("sqlite", "postgres")]
    assert names[0] == names[1]


def test_what_is_missing_comes_in_order():
    assert find_missing([ONE, TWO], []) == [ONE, TWO]
    assert find_missing([ONE, TWO], [DONE_ONE]) == [TWO]
    assert find_missing([ONE, TWO], [DONE_TWO, DONE_ONE]) == []


def test_a_newer_schema_and_a_changed_one_are_refused():
    with pytest.raises(MigrationError, match="0002_two"):
        find_missing([ONE], [DONE_ONE, DONE_TWO])
    with pytest.raises(MigrationError, match="0001_one"):
        find_missing([ONE, TWO], [Applied(1, "one", "other")])


def test_only_a_current_schema_will_do():
    require_current([ONE], [DONE_ONE])
    with pytest.raises(MigrationError, match="hookline migrate"):
        require_current([ONE, TWO], [DONE_ONE])


# --- queries


def test_every_sql_file_parses_and_names_no_query_twice():
    root = resources.files("hookline.store").joinpath("sql")
    for database in ("sqlite", "postgres"):
        for file in root.joinpath(database).iterdir():
            queries = load_queries(database, file.name.removesuffix(".sql"))
            assert queries, file.name
            for name, sql in queries.items():
                assert re.match(r"(--|SELECT|INSERT|UPDATE|DELETE|WITH|CREATE|ALTER|DROP|LOCK|NOTIFY|LISTEN)", sql), (
                    name
                )
                assert not sql.rstrip().endswith(";"), name


def test_comments_above_a_query_belong_to_it():
    put_key = load_queries("sqlite", "commit")["put_key"]
    assert put_key.startswith("INSERT")
    assert "--" not in put_key


# --- rows


def test_lists_of_names():
    for names in (None, (), ("a",), ("a", "b")):
        assert records.split_names(records.join_names(names)) == names


@pytest.mark.parametrize(("count", "hashed"), [(0, False), (1, False), (64, False), (65, True)])
def test_targets_stand_inline_up_to_a_number(count, hashed):
    targets = tuple(f"ep_{number}" for number in range(count))
    text, digest = records.targets_to_text(targets)
    assert (digest is not None) == hashed
    assert text == (f"#{digest}" if hashed else ",".join(targets))


def test_the_hash_depends_on_all_targets_and_their_order():
    targets = tuple(f"ep_{number}" for number in range(65))
    digests = {records.targets_to_text(each)[1] for each in (targets, targets[::-1], (*targets, "ep_x"))}
    assert len(digests) == 3


def test_members_of_a_batch():
    messages = [message("app_a"), message("app_b")]
    text = records.members_to_text(messages)
    assert records.members_from_text(text) == [(one.app_id, one.id) for one in messages]
    assert records.members_from_text("") == []


@pytest.mark.parametrize(
    ("status", "reason", "state"),
    [
        (AttemptStatus.SUCCEEDED, "", DeliveryState.SUCCEEDED),
        (AttemptStatus.CANCELED, "payload_expired", DeliveryState.CANCELED),
        (AttemptStatus.FAILED, "poison", DeliveryState.EXHAUSTED),
        (AttemptStatus.FAILED, "timeout", DeliveryState.EXHAUSTED),
        (AttemptStatus.FAILED, "gone", DeliveryState.ABORTED),
    ],
)
def test_ends(status, reason, state):
    assert records.state_of_end(status, reason) is state


# --- keys


def new(*names: str) -> NewMessage:
    return NewMessage(message("app_a"), keys=tuple(MessageKey(name, name.encode(), NOW) for name in names))


def test_the_first_of_several_keeps_a_key():
    a, b, c = new("x"), new("x", "y"), new("y")
    verdict = keys.settle([a, b, c], {})
    assert {index: (found.key, found.message_id) for index, found in verdict.duplicates.items()} == {
        1: ("x", a.message.id)
    }
    assert [(row[2], row[3]) for row in verdict.kept] == [("x", a.message.id), ("y", c.message.id)]


def test_taken_keys_make_duplicates_and_left_out_messages_hold_nothing():
    a, b = new("x"), new("x")
    holder = keys.Holder("msg_old", b"old")
    verdict = keys.settle([a, b], {(ORG, "app_a", "x"): holder})
    assert {index: found.message_id for index, found in verdict.duplicates.items()} == {0: "msg_old", 1: "msg_old"}
    assert verdict.kept == []
    verdict = keys.settle([a, b], {}, {0})
    assert verdict.duplicates == {}
    assert [row[3] for row in verdict.kept] == [b.message.id]


def test_kept_keys_are_sorted():
    verdict = keys.settle([new("c", "a"), new("b")], {})
    assert [row[2] for row in verdict.kept] == ["a", "b", "c"]


# --- crash points


def test_crash_points_count_arrivals():
    assert parse("after_commit") == ("after_commit", 1)
    assert parse("after_commit:3") == ("after_commit", 3)
