"""The suite's own rule: a test that cannot run fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]


def run_pytest(tmp_path: Path, source: str) -> str:
    (tmp_path / "test_sample.py").write_text(source)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "conftest", "--rootdir", str(tmp_path), "-p", "no:xdist", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(TESTS), "PYTEST_ADDOPTS": ""},
    )
    return done.stdout.splitlines()[-1]


def test_skip_counts_as_failure(tmp_path):
    assert "1 failed" in run_pytest(tmp_path, "import pytest\ndef test_it(): pytest.skip('no part')\n")


def test_skip_marker_counts_as_failure(tmp_path):
    assert "1 error" in run_pytest(tmp_path, "import pytest\n@pytest.mark.skip\ndef test_it(): pass\n")


def test_missing_import_counts_as_failure(tmp_path):
    assert "1 error" in run_pytest(tmp_path, "import pytest\npytest.importorskip('no_such_module')\n")


def test_expected_failure_stays_one(tmp_path):
    source = "import pytest\n@pytest.mark.xfail(reason='known')\ndef test_it(): assert False\n"
    assert "1 xfailed" in run_pytest(tmp_path, source)
