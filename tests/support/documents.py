"""The project's Markdown pages as data: their code blocks, tables and links."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`]+)`")


def read_page(name: str) -> str:
    """The text of a page, by its path from the root of the checkout."""
    return (ROOT / name).read_text(encoding="utf-8")


def find_blocks(text: str, language: str) -> list[str]:
    """The code blocks of one language, in their order."""
    return [body for found, body in _BLOCK.findall(text) if found == language]


def find_links(text: str) -> list[str]:
    """Where links and pictures point; code blocks are left out."""
    return _LINK.findall(_BLOCK.sub("", text))


def find_section(text: str, heading: str) -> str:
    """What stands under a heading, until the next one of its level or above."""
    match = re.search(rf"^(#+) {re.escape(heading)}$", text, re.MULTILINE)
    assert match is not None, f"there is no heading {heading!r}"
    rest = text[match.end() :]
    end = re.search(rf"^#{{1,{len(match[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def read_table(text: str) -> dict[str, list[str]]:
    """The rows of all tables in a text: the first code word of the first cell, and all cells."""
    rows = {}
    for line in text.splitlines():
        if line.startswith("| `"):
            cells = [cell.strip() for cell in line.strip("|").split(" | ")]
            rows[_CODE.findall(cells[0])[0]] = [cell.strip() for cell in cells]
    return rows
