"""Whose data a query may touch. Every question to the store begins with a scope; there is no way to ask without one."""

from __future__ import annotations

import msgspec


class OrgScope(msgspec.Struct, frozen=True):
    """Everything of one organization."""

    org_id: str


class AppScope(msgspec.Struct, frozen=True):
    """Everything of one application of one organization."""

    org_id: str
    app_id: str
