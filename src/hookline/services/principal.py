"""Who is calling, and what of it follows: the scope that every question to the store begins with."""

from __future__ import annotations

import msgspec

from hookline.services.errors import ForbiddenError
from hookline.store.scope import OrgScope


class Principal(msgspec.Struct, frozen=True):
    """A caller that was authenticated: an organization, or (with `app_id`) one application of it.

    `may_send` is false for the tokens that customers get: they manage their endpoints and read what was sent to them,
    but what their provider tells them is not theirs to invent.
    """

    org_id: str
    app_id: str | None = None
    may_send: bool = True

    @property
    def org_scope(self) -> OrgScope:
        return OrgScope(self.org_id)

    def require_organization(self) -> OrgScope:
        """The organization's scope, for what concerns more than one application.

        Raises:
            ForbiddenError: the caller is one application only.
        """
        if self.app_id is not None:
            raise ForbiddenError
        return self.org_scope

    def require_sender(self) -> None:
        """Raises ForbiddenError when the caller may not send messages."""
        if not self.may_send:
            raise ForbiddenError
