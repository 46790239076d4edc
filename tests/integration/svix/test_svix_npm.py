"""The official npm SDK walks its groups of methods: the current one at SQLite, the last 1.x at PostgreSQL.

The walks are JavaScript (npm/groups.mjs), one run of Node.js for each; what they deliver is verified with the SDK's own
verifier.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from integration.svix.inventory import is_offered
from support.server import RunningServer, Tenant

ROOT = Path(__file__).parents[3]
WALKS = Path(__file__).parent / "npm"
GROUPS = (
    *("application", "authentication", "backgroundTask", "endpoint", "eventType"),
    *("health", "message", "messageAttempt", "operationalWebhook", "statistics"),
)


@pytest.fixture(scope="session")
def node() -> str:
    """Install Node.js and the SDKs, unless they are there already."""
    done = subprocess.run([ROOT / "scripts" / "install-node"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return "node"


@pytest.mark.parametrize("group", GROUPS)
def test_a_walk_of_the_npm_sdk(node: str, server: RunningServer, tenant: Tenant, group: str) -> None:
    package = "svix-1" if server.runtime.settings.is_postgres else "svix"
    report = walk(node, {"package": package, "url": server.url, "token": tenant.token, "group": group})
    assert report["error"] is None, report["error"]
    assert report["called"]


def test_every_offered_method_of_the_npm_sdk_is_walked(node: str, server: RunningServer, tenant: Tenant) -> None:
    order = {"package": "svix", "url": server.url, "token": tenant.token, "group": "health"}
    methods = {method for method in walk(node, order)["methods"] if is_offered(to_snake(method))}
    walked = set(re.findall(r"\b(?:svix|customer)\.([A-Za-z.]+)\(", (WALKS / "groups.mjs").read_text()))
    assert len(methods) > 50
    assert methods - walked == set()


def walk(node: str, order: dict[str, str]) -> dict[str, Any]:
    done = subprocess.run(
        [node, "walk.mjs"], cwd=WALKS, input=json.dumps(order), capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def to_snake(method: str) -> str:
    return re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", method)
