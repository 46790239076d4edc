"""The pins are what the install scripts trust: complete, hashed, and silent about where packages come from."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PINS = (ROOT / "requirements" / "dev.txt").read_text()
NPM = ROOT / "tests" / "integration" / "svix" / "npm"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DIRECT = [
    requirement
    for group in [
        PROJECT["build-system"]["requires"],
        PROJECT["project"]["dependencies"],
        *PROJECT["project"]["optional-dependencies"].values(),
        *PROJECT["dependency-groups"].values(),
    ]
    for requirement in map(Requirement, group)
    if requirement.name != "hookline"
]


def pinned_versions() -> dict[str, list[str]]:
    versions: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", PINS, flags=re.MULTILINE):
        versions.setdefault(canonicalize_name(name), []).append(version)
    return versions


@pytest.mark.parametrize("requirement", DIRECT, ids=str)
def test_direct_requirement_is_pinned_within_its_bounds(requirement):
    versions = pinned_versions().get(canonicalize_name(requirement.name), [])
    assert versions, f"{requirement} is not pinned: run scripts/pin"
    assert all(requirement.specifier.contains(version) for version in versions)


def test_every_pin_is_hashed():
    # A pin and its hashes are one logical line, continued with backslashes.
    lines = [line for line in PINS.replace("\\\n", " ").splitlines() if not line.lstrip().startswith("#")]
    assert len(lines) > 50
    assert [line for line in lines if "==" not in line or "--hash=sha256:" not in line] == []


def test_no_address_is_named():
    assert "://" not in PINS
    assert "--index" not in PINS
    assert "--find-links" not in PINS


def test_npm_packages_are_pinned_hashed_and_of_no_address():
    lock = (NPM / "package-lock.json").read_text()
    packages = json.loads(lock)["packages"]
    assert packages.pop("")["dependencies"] == json.loads((NPM / "package.json").read_text())["dependencies"]
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    assert "://" not in lock
