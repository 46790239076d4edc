"""`hookline openapi`: prints, writes and compares the description, with no database at hand."""

from __future__ import annotations

import json
from pathlib import Path


def test_it_is_printed_written_and_compared(hookline, tmp_path: Path) -> None:
    printed = hookline("openapi")
    assert printed.returncode == 0
    assert json.loads(printed.stdout)["openapi"].startswith("3.1")
    assert hookline("openapi", "--output", "kept.json").stdout == ""
    kept = tmp_path / "kept.json"
    assert kept.read_text() == printed.stdout
    assert hookline("openapi", "--check", "kept.json").returncode == 0
    assert list(tmp_path.iterdir()) == [kept]


def test_a_change_that_nobody_declared_is_named(hookline, tmp_path: Path) -> None:
    hookline("openapi", "--output", "kept.json")
    kept = tmp_path / "kept.json"
    kept.write_text(kept.read_text().replace('"uid"', '"alias"', 1))
    for name in ("kept.json", "missing.json"):
        done = hookline("openapi", "--check", name)
        assert done.returncode == 1
        assert done.stdout == ""
        assert f"hookline openapi --output {name}" in done.stderr
    assert '"uid"' in hookline("openapi", "--check", "kept.json").stderr
