"""`hookline alert test`: a real notification to a real sink, and what is said when there is none."""

from __future__ import annotations

import json

from support.server import Receiver


def test_a_test_notification_arrives(hookline, receiver: Receiver) -> None:
    address = receiver.url.replace("http://", "json://")
    environment = {"HOOKLINE_NOTIFIERS": json.dumps({"team": f"{address}/200/people"})}
    done = hookline("alert", "test", "team", env=environment)
    assert (done.returncode, done.stdout) == (0, "Sent by team.\n")
    assert json.loads(receiver.next().body)["title"] == "Hookline: a test"
    done = hookline("alert", "test", "nobody", env=environment)
    assert done.returncode == 1
    assert "There is no notifier 'nobody'" in done.stderr


def test_addresses_are_masked(hookline) -> None:
    environment = {"HOOKLINE_NOTIFIERS": json.dumps({"team": "mailto://me:s3cret@example.com", "b": ["slack://x/y/z"]})}
    for arguments in (("config", "show"), ("config", "show", "--json")):
        done = hookline(*arguments, env=environment)
        assert "team: ***, b: ***" in done.stdout
        assert "s3cret" not in done.stdout + done.stderr
    done = hookline("alert", "test", "team", env={"HOOKLINE_NOTIFIERS": '{"team": 7}'})
    assert (done.returncode, "HOOKLINE_NOTIFIERS" in done.stderr) == (1, True)
