"""Log lines: JSON for machines, text for people, no secrets in either. Logging is global: a process for each test."""

from __future__ import annotations

import json
import subprocess
import sys

from hookline.server.logs import redact

PROGRAM = """
import logging
import structlog
from hookline.server.logs import configure_logging
from hookline.server.settings import LogFormat, LogLevel

configure_logging(LogFormat({form!r}), LogLevel({level!r}))
log = logging.getLogger("hookline.server")
log.debug("a detail")
extra = {{"action": "accepted", "message_id": "msg_1", "authorization": "Bearer hunter2hunter2"}}
log.info("accepted %d", 3, extra=extra)
structlog.get_logger("hookline.engine").warning("slow", endpoint_id="ep_1", headers={{"Cookie": "hunter2"}})
logging.getLogger("uvicorn.error").info("from the web server")
try:
    raise ValueError("cannot use whsec_hunter2hunter2hunter2")
except ValueError:
    log.exception("failed")
"""


def run(form: str = "auto", level: str = "info") -> list[str]:
    code = PROGRAM.format(form=form, level=level)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    assert "unter2" not in done.stdout
    return done.stdout.splitlines()


def test_json_when_nobody_watches():
    accepted, slow, web, failed = (json.loads(line) for line in run())
    assert accepted["event"] == "accepted 3"
    assert (accepted["level"], accepted["logger"], accepted["action"]) == ("info", "hookline.server", "accepted")
    assert accepted["message_id"] == "msg_1"
    assert accepted["authorization"] == "***"
    assert accepted["timestamp"].endswith("Z")
    assert (slow["endpoint_id"], slow["headers"], slow["level"]) == ("ep_1", {"Cookie": "***"}, "warning")
    assert web["logger"] == "uvicorn.error"
    assert "ValueError: cannot use whsec_***" in failed["exception"]


def test_text_on_request():
    lines = run("text")
    assert "accepted 3" in lines[0]
    assert "msg_1" in lines[0]
    assert "\x1b" not in "".join(lines)  # colors are for terminals


def test_levels():
    assert [json.loads(line)["event"] for line in run(level="warning")] == ["slow", "failed"]
    assert json.loads(run(level="debug")[0])["event"] == "a detail"


def test_redaction_reaches_into_the_event_itself():
    event = redact(None, "info", {"event": "got Bearer hunter2hunter2", "status": 200, "path": "/api/v1"})
    assert event == {"event": "got Bearer ***", "status": 200, "path": "/api/v1"}
