"""Pages and filters of lists: from query parameters to what the store asks, and from its answers to the wire.

An iterator is the id where the next page goes on, with `-` in front for the page before. Lists in query parameters
come joined by commas, repeated, or with `[]` behind their name.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import Depends, Query, Request

from hookline.model import SVIX_STATUS, AttemptStatus, DeliveryState, ids
from hookline.server.surfaces.svix.moments import read_moment
from hookline.services import InvalidError, Problem
from hookline.services.errors import invalid
from hookline.services.validation import is_event_type, is_tag, is_text
from hookline.store import MessageFilter, Page, Slice

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 250
MAX_FILTER_VALUES: Final = 100

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="How many at most.")]
Iterator = Annotated[str | None, Query(description="Where to go on: `iterator` or `prevIterator` of another page.")]
Status = Annotated[int | None, Query(ge=0, le=4, description="0 success, 1 pending, 2 fail, 3 sending, 4 canceled.")]
Order = Annotated[Literal["ascending", "descending"] | None, Query(description="Oldest or newest first.")]

# Svix numbers: 0 success, 1 pending, 2 fail, 3 sending, 4 canceled. An attempt that was made is neither 1 nor 3, but
# the delivery that it belongs to may be: by these, its last attempt so far is found.
_STATUSES: Final = {0: AttemptStatus.SUCCEEDED, 2: AttemptStatus.FAILED, 4: AttemptStatus.CANCELED}
_UNSETTLED: Final[dict[int, Literal["pending", "sending"]]] = {1: "pending", 3: "sending"}


def read_page(prefix: str, limit: int, iterator: str | None, *, ascending: bool) -> Page:
    """The page that an iterator leads to.

    Raises:
        InvalidError: it is not one that we gave out.
    """
    if not iterator:
        return Page(limit, ascending=ascending)
    backwards = iterator.startswith("-")
    position = iterator[1:] if backwards else iterator
    if not ids.is_id(position, prefix):
        raise invalid("iterator", "Not an iterator of this list. Start without one.", place="query")
    if backwards:
        return Page(limit, before=position, ascending=ascending)
    return Page(limit, after=position, ascending=ascending)


def read_named_page(limit: int, iterator: str | None, *, ascending: bool) -> Page:
    """The same for a list that goes by name. A name that begins with `-` has a `:` before it, which no name has.

    Raises:
        InvalidError: it is not one that we gave out.
    """
    if not iterator:
        return Page(limit, ascending=ascending)
    backwards = iterator.startswith("-")
    position = (iterator[1:] if backwards else iterator).removeprefix(":")
    if not is_event_type(position):
        raise invalid("iterator", "Not an iterator of this list. Start without one.", place="query")
    if backwards:
        return Page(limit, before=position, ascending=ascending)
    return Page(limit, after=position, ascending=ascending)


def name_iterators(names: Sequence[str]) -> tuple[str | None, str | None]:
    """`iterator` and `prevIterator` of a page with these names."""
    if not names:
        return None, None
    first, last = (f":{name}" if name.startswith("-") else name for name in (names[0], names[-1]))
    return last, f"-{first}"


def iterators(identifiers: Sequence[str], rows: Slice[Any], page: Page) -> tuple[str | None, str | None]:
    """`iterator` and `prevIterator` of a page with these ids. A short page may go on beyond its last row, in the
    direction in which it was walked.
    """
    first, last = (identifiers[0], identifiers[-1]) if identifiers else (None, None)
    if page.before is not None and page.after is None:
        first = rows.last_seen or first
    else:
        last = rows.last_seen or last
    return last, None if first is None else f"-{first}"


def _read_list(request: Request, name: str) -> tuple[str, ...] | None:
    query = request.query_params
    texts = [*query.getlist(name), *query.getlist(f"{name}[]")]
    values = [value.strip() for text in texts for value in text.split(",") if value.strip()]
    return tuple(dict.fromkeys(values)) if texts else None


async def _read_filter(
    request: Request,
    channel: Annotated[str | None, Query(description="Only with this channel.")] = None,
    tag: Annotated[str | None, Query(description="Only with this tag.")] = None,
    before: Annotated[datetime | None, Query(description="Only made before this time.")] = None,
    after: Annotated[datetime | None, Query(description="Only made at or after this time.")] = None,
) -> MessageFilter:
    """What messages and attempts are filtered by, `event_types` included."""
    names = _read_list(request, "event_types")
    if names is not None and (len(names) > MAX_FILTER_VALUES or not all(is_event_type(name) for name in names)):
        raise invalid("event_types", "Not a list of event types.", place="query")
    if (tag is not None and not is_tag(tag)) or (channel is not None and not is_text(channel)):
        names = ()  # finds nothing
    since_ms = None if after is None else read_moment(after, "after", "query")
    until_ms = None if before is None else read_moment(before, "before", "query")
    return MessageFilter(names, channel, since_ms, until_ms, tag=tag)


async def _read_attempt_filter(
    where: Annotated[MessageFilter, Depends(_read_filter)],
    status: Status = None,
    status_code_class: Annotated[int | None, Query(description="0, 100, 200, 300, 400 or 500.")] = None,
) -> MessageFilter | None:
    """The filter; None when nothing can match it."""
    if status_code_class not in {None, 0, 100, 200, 300, 400, 500}:
        raise InvalidError([Problem(("status_code_class",), "Use 0, 100, 200, 300, 400 or 500.", place="query")])
    if where.event_types == ():
        return None
    unsettled = None if status is None else _UNSETTLED.get(status)
    return msgspec.structs.replace(
        where,
        status=None if status is None else _STATUSES.get(status, AttemptStatus.FAILED),
        status_class=status_code_class,
        unsettled=unsettled,
    )


async def _read_states(status: Status = None) -> frozenset[DeliveryState] | None:
    """The states of deliveries that a status stands for; None for all."""
    if status is None:
        return None
    return frozenset(state for state, number in SVIX_STATUS.items() if number == status)


Where = Annotated[MessageFilter, Depends(_read_filter)]
States = Annotated[frozenset[DeliveryState] | None, Depends(_read_states)]
AttemptsWhere = Annotated[MessageFilter | None, Depends(_read_attempt_filter)]
