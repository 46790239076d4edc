"""Ready-made catalogs of event types, which an organization can install instead of registering each type itself."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import msgspec

from hookline.model.openai_events import DEPRECATED, OPENAI_EVENTS
from hookline.services.errors import NotFoundError, invalid
from hookline.services.event_type_form import EventTypeForm
from hookline.services.event_types import EventTypes
from hookline.services.principal import Principal
from hookline.services.tokens import is_organization_id


class CatalogInfo(msgspec.Struct, frozen=True):
    """A catalog: its types by name, and what it is for."""

    name: str
    description: str
    forms: Mapping[str, EventTypeForm]


class Outcome(StrEnum):
    """What an installation does to one type."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


def _openai_forms() -> dict[str, EventTypeForm]:
    return {
        event.name: EventTypeForm(
            event.description,
            deprecated=event.name in DEPRECATED,
            schemas={"1": event.schema},
            group_name="openai",
        )
        for event in OPENAI_EVENTS.values()
    }


CATALOGS: Final[Mapping[str, CatalogInfo]] = MappingProxyType(
    {"openai": CatalogInfo("openai", "What the OpenAI platform and Azure OpenAI tell of.", _openai_forms())}
)


async def install_catalog(
    event_types: EventTypes, principal: Principal, name: str, *, dry_run: bool = False
) -> dict[str, Outcome]:
    """Create the types of a catalog and replace those that differ, all of them or none. Others stay as they are.

    A type that exists keeps its feature flags: who may see it is no business of a catalog. An archived one is live
    again. With `dry_run` nothing changes; the answer is the same.

    Raises:
        InvalidError: the caller's organization is none.
        NotFoundError: there is no such catalog.
        ForbiddenError, LimitReachedError: as `EventTypes.create` says.
    """
    catalog = CATALOGS.get(name)
    if catalog is None:
        raise NotFoundError(f"There is no catalog of this name. There are: {', '.join(CATALOGS)}.")
    if not is_organization_id(principal.org_id):
        raise invalid("org", "Give an id that begins with org_")
    forms: dict[str, EventTypeForm] = {}
    outcomes: dict[str, Outcome] = {}
    for type_name, form in catalog.forms.items():
        existing = await event_types.find(principal, type_name)
        if existing is None:
            forms[type_name], outcomes[type_name] = form, Outcome.CREATED
            continue
        kept = msgspec.structs.replace(form, feature_flags=existing.feature_flags)
        if EventTypeForm.of(existing) == kept:
            outcomes[type_name] = Outcome.UNCHANGED
        else:
            forms[type_name], outcomes[type_name] = kept, Outcome.UPDATED
    if forms and not dry_run:
        await event_types.put_all(principal, forms, archive_others=False)
    return outcomes
