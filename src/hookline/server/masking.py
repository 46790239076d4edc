"""Secrets out of what people see: URLs, settings, log lines."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

MASK: Final = "***"
_SECRET_PARAMETERS: Final = re.compile(r"((?:^|&)[^=&]*(?:password|secret|token|key)[^=&]*=)[^&]*", re.IGNORECASE)
_SECRET_NAMES: Final = re.compile(
    r"secret|password|passwd|authorization|cookie|credential|api[_-]?key|encryption[_-]?key|private[_-]?key|bearer"
    r"|^token$|_token$|^key$",
    re.IGNORECASE,
)
_SECRET_TEXTS: Final = re.compile(
    r"(?P<kept>\b(?:bearer|basic)\s+|\b(?:whsec|whsk|hk)_|://[^/\s:@]*:)(?P<secret>[A-Za-z0-9+/=_.~%!$&*-]{6,})",
    re.IGNORECASE,
)
_TOKEN: Final = re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]+")
_MAX_DEPTH: Final = 5


def mask_secret(text: str) -> str:
    """A key ring keeps its key ids, which are no secrets and tell rings apart: `k1:***,k2:***`."""
    entries = [entry.strip() for entry in text.split(",")]
    if all(re.fullmatch(r"[A-Za-z0-9_-]{1,32}:.+", entry) for entry in entries):
        return ",".join(f"{entry.partition(':')[0]}:{MASK}" for entry in entries)
    return MASK


def mask_url(url: str) -> str:
    """The URL without its password, wherever it stands; all of it is masked when it cannot be read."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return MASK
    userinfo, at, host = parts.netloc.rpartition("@")
    user, colon, _ = userinfo.partition(":")
    netloc = f"{user}{colon}{MASK if colon else ''}{at}{host}"
    shown = urlunsplit((parts.scheme, netloc, parts.path, _SECRET_PARAMETERS.sub(rf"\1{MASK}", parts.query), ""))
    # An empty authority (sqlite:///x) loses its slashes in some spellings; they carry meaning there.
    return shown if netloc or not url.startswith(f"{parts.scheme}://") else f"{parts.scheme}://{parts.path}"


def mask_text(text: str) -> str:
    """A line of text without what looks like a secret: bearer tokens, signing secrets, passwords in URLs."""
    text = _SECRET_TEXTS.sub(rf"\g<kept>{MASK}", text)
    return _TOKEN.sub(MASK, text)


def mask_value(name: str, value: Any, depth: int = 0) -> Any:
    """A logged value: masked whole under a secret's name, else its texts one by one."""
    if _SECRET_NAMES.search(name) and value is not None and not isinstance(value, bool | int | float):
        return MASK
    if isinstance(value, str):
        return mask_text(value)
    if depth < _MAX_DEPTH and isinstance(value, Mapping):
        return {key: mask_value(str(key), entry, depth + 1) for key, entry in value.items()}
    if depth < _MAX_DEPTH and isinstance(value, list | tuple):
        return [mask_value("", entry, depth + 1) for entry in value]
    return value
