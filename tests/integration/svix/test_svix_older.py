"""The official Python SDK as it was in the years of `filterTypes`: who has not updated it yet can move all the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from support.server import RunningServer, Tenant

HERE = Path(__file__).parent
OLDER_SDK = Path(sys.prefix) / "svix-1"


def test_an_older_sdk(server: RunningServer, tenant: Tenant) -> None:
    assert OLDER_SDK.is_dir(), "run scripts/install"
    done = subprocess.run(
        [sys.executable, HERE / "older_walk.py"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(OLDER_SDK), str(HERE.parents[1])])},
        input=json.dumps({"url": server.url, "token": tenant.token}),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
