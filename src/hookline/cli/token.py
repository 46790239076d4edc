"""`hookline token`: a signed access token."""

# ruff: noqa: PLC0415 -- imported when the command runs

from __future__ import annotations

from typing import Annotated

import typer

from hookline.cli.database import Database, run_with_database
from hookline.cli.durations import read_duration
from hookline.cli.output import DatabaseOption, JsonOption, print_json, print_text
from hookline.errors import HooklineError


class UnknownApplicationError(HooklineError):
    """No such application in the organization."""

    code = "not_found"


def create_token(
    *,
    org: Annotated[str | None, typer.Option("--org", help="The organization; HOOKLINE_DEFAULT_ORG otherwise.")] = None,
    app: Annotated[
        str | None,
        typer.Option("--app", help="Only for this application (id or uid): what a customer gets. It may not send."),
    ] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", help="How long it lives, for example 24h. [10 years; with --app 28d]")
    ] = None,
    database: DatabaseOption = None,
    json: JsonOption = False,
) -> None:
    """Print a signed access token.

    For the commands of this program: export HOOKLINE_TOKEN=$(hookline token). An organization's token cannot be
    revoked; what `hookline key create` makes can. Tokens of one application can, through the API.
    """
    lifetime_s = None if expires is None else max(1, round(read_duration(expires, "--expires")))

    async def issue(opened: Database) -> dict[str, object]:
        from hookline.clock import SystemClock
        from hookline.services.tokens import APPLICATION_LIFETIME_S, ORGANIZATION_LIFETIME_S, Grant, Tokens
        from hookline.store import AppScope, OrgScope

        org_id = org or opened.settings.default_org
        tokens = Tokens(opened.jwt_secret, SystemClock())
        if app is None:
            token = tokens.issue_for_organization(org_id, lifetime_s or ORGANIZATION_LIFETIME_S)
            return {"token": token, "orgId": org_id, "appId": None}
        application = await opened.store.get_application(OrgScope(org_id), app)
        if application is None:
            raise UnknownApplicationError(f"There is no application {app} in {org_id}. Create it first.")
        grant = Grant(generation=await opened.store.token_generation(AppScope(org_id, application.id)))
        token = tokens.issue_for_application(org_id, application.id, lifetime_s or APPLICATION_LIFETIME_S, grant)
        return {"token": token, "orgId": org_id, "appId": application.id}

    answer = run_with_database(database, issue)
    if json:
        print_json(answer)
    else:
        print_text(str(answer["token"]))
