"""Who is calling, and what of it follows: the scope that every question to the store begins with."""

from __future__ import annotations

import msgspec

from hookline.services.capabilities import ALL, Capability, allows
from hookline.services.errors import ForbiddenError
from hookline.store.scope import OrgScope


class Principal(msgspec.Struct, frozen=True):
    """A caller that was authenticated: an organization, or (with `app_id`) one application of it.

    `may_send` is false for the tokens that customers get: they manage their endpoints and read what was sent to them,
    but what their provider tells them is not theirs to invent. What else they may do is in `capabilities` and
    `read_only`; which event types they see, in `feature_flags`. `token_id` and `session_id` name the token itself.
    """

    org_id: str
    app_id: str | None = None
    may_send: bool = True
    capabilities: frozenset[Capability] = ALL
    read_only: bool = False
    feature_flags: tuple[str, ...] = ()
    token_id: str | None = None
    session_id: str | None = None

    @property
    def org_scope(self) -> OrgScope:
        return OrgScope(self.org_id)

    def may(self, capability: Capability) -> bool:
        return allows(self.capabilities, capability, read_only=self.read_only)

    def require(self, capability: Capability) -> None:
        """Raises ForbiddenError when the caller's token does not have it."""
        if not self.may(capability):
            raise ForbiddenError

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
