"""What an organization sets for itself. `model.OrganizationSettings` lists the members; nothing else does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from hookline.model import OrganizationSettings
from hookline.services.errors import ConflictError, InvalidError, Problem
from hookline.services.principal import Principal
from hookline.store.errors import ChangedMeanwhileError
from hookline.store.protocol import Catalog

MAX_TRIES: Final = 20  # of a change that others interrupt
NAMES: Final = tuple(field.encode_name for field in msgspec.structs.fields(OrganizationSettings))


class Organizations:
    """Reads and changes settings. Only the organization itself may; its customers do not even see them."""

    def __init__(self, store: Catalog) -> None:
        self._store = store

    async def settings(self, principal: Principal) -> OrganizationSettings:
        """Raises ForbiddenError when the caller is one application only."""
        return (await self._store.get_organization(principal.require_organization())).settings

    async def change(self, principal: Principal, members: Mapping[str, Any]) -> OrganizationSettings:
        """Set the members that are given, by their names on the wire; null sets one back to its default.

        Raises:
            ForbiddenError: the caller is one application only.
            InvalidError: a member that there is not, or a value that it cannot have.
            ConflictError: others change this organization all the time.
        """
        scope = principal.require_organization()
        _check(members)
        for _ in range(MAX_TRIES):
            organization = await self._store.get_organization(scope)
            merged = {**msgspec.to_builtins(organization.settings), **members}
            settings = msgspec.convert(
                {name: value for name, value in merged.items() if value is not None}, OrganizationSettings
            )
            if settings == organization.settings:
                return settings
            try:
                changed = await self._store.update_settings(scope, settings, read_version=organization.catalog_version)
            except ChangedMeanwhileError:
                continue
            return changed.settings
        raise ConflictError("Others change this organization all the time. Try again.")


def _check(members: Mapping[str, Any]) -> None:
    """Raises InvalidError with everything that is wrong: each member is looked at alone."""
    problems = []
    for name, value in members.items():
        if name not in NAMES:
            problems.append(Problem((), f"There is no such setting. Use {', '.join(NAMES)}.", "unknown", path=(name,)))
        elif value is not None:
            try:
                msgspec.convert({name: value}, OrganizationSettings)
            except msgspec.ValidationError as error:
                problems.append(Problem((), str(error).partition(" - at `")[0], path=(name,)))
    if problems:
        raise InvalidError(problems)
