"""The walk through the source: event types, then applications, each with its endpoints.

    for each thing:  not there -> created;  differs -> what differs is changed;  the same -> left alone

A thing is written in one request that carries everything of it, its mark included: a walk that ends half-way leaves
nothing that the next one would not know again. What fails is noted, and the walk goes on; it ends early only when a
side cannot be reached or does not accept its credential.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

from hookline.cli.client import ClientError, quote_segment
from hookline.cli.svix_import.calls import Api, RefusedError, ask, list_pages
from hookline.cli.svix_import.report import Item, Kind, Outcome, Report
from hookline.cli.svix_import.translation import (
    PUBLIC_KEY_PREFIX,
    Copies,
    Json,
    describe_application,
    describe_endpoint,
    describe_event_type,
    find_changes,
    find_header_changes,
    missing_names,
)


class Copier:
    """Copies from one API to another. With `only`, just these applications (ids or uids), and all event types."""

    def __init__(
        self,
        source: Api,
        target: Api,
        report: Report,
        *,
        only: Sequence[str] = (),
        on_item: Callable[[Item], None] = lambda _: None,
    ) -> None:
        self._source = source
        self._target = target
        self._report = report
        self._only = only
        self._on_item = on_item

    async def run(self) -> None:
        """Raises ClientError when a side cannot be reached, or refuses its credential; running it again goes on."""
        try:
            await self._copy_event_types()
            copies = Copies()
            async for page in list_pages(self._target, "/app"):
                for entry in page:
                    copies.add(entry)
            async for page in self._list_applications():
                await _together(self._copy_application(original, copies) for original in page)
        except RefusedError as error:  # of a list: of single things it is noted
            raise ClientError(error.message) from error

    async def _list_applications(self) -> AsyncIterator[list[Json]]:
        if not self._only:
            async for page in list_pages(self._source, "/app"):
                yield page
        for name in self._only:
            try:
                yield [await ask(self._source, "GET", f"/app/{quote_segment(name)}")]
            except RefusedError as error:
                item = Item(Kind.APPLICATION, name, name, outcome=Outcome.FAILED, notes=[error.message])
                self._finish(item)

    async def _copy_event_types(self) -> None:
        copies = {entry["name"]: entry async for entry in self._list_event_types(self._target)}
        async for original in self._list_event_types(self._source):
            name = original["name"]
            item = Item(Kind.EVENT_TYPE, name, name, target_id=name if name in copies else None)
            wanted = describe_event_type(original)
            if name not in copies:
                item.outcome = Outcome.CREATED
            elif changes := find_changes(wanted, describe_event_type(copies[name])):
                item.outcome, item.changed = Outcome.UPDATED, sorted(changes)
            if item.outcome is not Outcome.UNCHANGED:
                await self._write(item, "PUT", f"/event-type/{quote_segment(name)}", wanted)
            self._finish(item)

    async def _list_event_types(self, api: Api) -> AsyncIterator[Json]:
        try:
            async for page in list_pages(api, "/event-type", include_archived="true", with_content="true"):
                for entry in page:
                    yield entry
        except RefusedError as error:
            if error.status != 404:  # a server that knows no event types has none
                raise

    async def _copy_application(self, original: Json, copies: Copies) -> None:
        item = Item(Kind.APPLICATION, original["id"], original.get("uid") or original["name"])
        wanted = describe_application(original)
        copy = copies.find(original)
        if copy is None:
            item.outcome = Outcome.CREATED
            copy = await self._write(item, "POST", "/app", wanted)
        else:
            item.target_id = copy["id"]
            if changes := find_changes(wanted, copy):
                item.outcome, item.changed = Outcome.UPDATED, sorted(changes)
                await self._write(item, "PATCH", f"/app/{copy['id']}", changes)
        self._finish(item)
        if item.outcome is Outcome.FAILED:
            return  # its endpoints have no place to go to
        await self._copy_endpoints(item)

    async def _copy_endpoints(self, application: Item) -> None:
        copies = Copies()
        if application.target_id is not None:
            async for page in list_pages(self._target, f"/app/{application.target_id}/endpoint"):
                for entry in page:
                    copies.add(entry)
        try:
            async for page in list_pages(self._source, f"/app/{application.source_id}/endpoint"):
                await _together(self._copy_endpoint(application, original, copies) for original in page)
        except RefusedError as error:
            application.outcome = Outcome.FAILED
            application.notes.append(f"Its endpoints could not be listed. {error.message}")

    async def _copy_endpoint(self, application: Item, original: Json, copies: Copies) -> None:
        # Of a URL only the host is named: paths and queries of webhooks often are secrets.
        name = f"{application.name} / {original.get('uid') or urlsplit(original['url']).hostname}"
        item = Item(Kind.ENDPOINT, original["id"], name)
        path = f"/app/{application.source_id}/endpoint/{original['id']}"
        try:
            secret = (await ask(self._source, "GET", f"{path}/secret"))["key"]
            headers = await ask(self._source, "GET", f"{path}/headers")
        except RefusedError as error:
            item.outcome = Outcome.SKIPPED if error.status == 404 else Outcome.FAILED
            item.notes.append("It is no longer there." if error.status == 404 else error.message)
            self._finish(item)
            return
        copy = copies.find(original)
        if copy is None:
            await self._create_endpoint(application, item, original, secret, headers)
        else:
            await self._update_endpoint(application, item, original, copy, secret, headers)
        self._finish(item)

    async def _create_endpoint(self, application: Item, item: Item, original: Json, secret: str, headers: Json) -> None:
        item.outcome = Outcome.CREATED
        body = {**describe_endpoint(original), "headers": headers["headers"]}
        if secret.startswith(PUBLIC_KEY_PREFIX):
            # It would be signed with a key that its receiver does not know: it waits instead, and loses nothing.
            body["paused"] = not body["disabled"]
            _note_key(item)
        else:
            body["secret"] = secret
        _note_headers(item, headers["sensitive"])
        await self._write(item, "POST", f"/app/{application.target_id}/endpoint", body)

    async def _update_endpoint(
        self, application: Item, item: Item, original: Json, copy: Json, secret: str, headers: Json
    ) -> None:
        item.target_id = copy["id"]
        path = f"/app/{application.target_id}/endpoint/{copy['id']}"
        try:
            own_secret = (await ask(self._target, "GET", f"{path}/secret"))["key"]
            own_headers = await ask(self._target, "GET", f"{path}/headers")
        except RefusedError as error:
            item.outcome = Outcome.FAILED
            item.notes.append(error.message)
            return
        changes = find_changes(describe_endpoint(original), copy)
        if secret != own_secret:
            if secret.startswith(PUBLIC_KEY_PREFIX):
                _note_key(item)
            else:
                changes["secret"] = secret
        header_changes = find_header_changes(headers["headers"], own_headers["headers"])
        _note_headers(item, missing_names(headers["sensitive"], own_headers["sensitive"]))
        item.changed = sorted([*changes, *(["headers"] if header_changes else [])])
        if item.changed:
            item.outcome = Outcome.UPDATED
        if header_changes:
            await self._write(item, "PATCH", f"{path}/headers", {"headers": header_changes})
        if changes:
            await self._write(item, "PATCH", path, changes)

    async def _write(self, item: Item, method: str, path: str, body: Json) -> Json | None:
        """Change the target, unless this is only a rehearsal; what it refuses is the end of this item."""
        if self._report.dry_run:
            return None
        try:
            answer = await ask(self._target, method, path, body)
        except RefusedError as error:
            item.outcome = Outcome.FAILED
            item.notes = [error.message]
            return None
        item.target_id = item.target_id or answer.get("id") or answer.get("name")
        return answer

    def _finish(self, item: Item) -> None:
        self._report.add(item)
        self._on_item(item)


def _note_key(item: Item) -> None:
    item.notes.append(
        "It signs with an Ed25519 key, whose private half cannot be read. It is paused: give it its key "
        '({"secret": "whsk_...", "paused": false} in a PATCH), or have the receiver take the new secret.'
    )


def _note_headers(item: Item, names: Sequence[str]) -> None:
    if names:
        item.notes.append(
            f"The source hides the values of these headers: {', '.join(names)}. Set them with a PATCH of its headers."
        )


async def _together(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run all of it at the same time; the first fault ends the rest."""
    try:
        async with asyncio.TaskGroup() as group:
            for coroutine in work:
                group.create_task(coroutine)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
