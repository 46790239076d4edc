"""Access tokens for endpoints with OAuth 2.0 client credentials (RFC 6749, section 4.4), fetched once and kept a while.

    none ──somebody asks──> fetching ──200 with a token──> held until shortly before it expires ──> none
                               └──anything else──> refused for `HOLD_FAILURE_S` ──> none
    held ──the endpoint answered 401──> none, unless it is younger than `MIN_AGE_S`: another would do no better

One fetch serves everybody who waits for it, each for as long as its own attempt lasts. A token belongs to one endpoint
and one set of credentials: changed credentials begin anew. Tokens are in memory only. Token URLs come from customers,
so a fetch is a request like any other: guarded addresses, no redirects, a deadline, a bounded answer. It shows no
client certificate; that is for the endpoint.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import re
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote_plus, urlencode

import msgspec

from hookline import __version__
from hookline.clock import Clock
from hookline.egress.reasons import Reason
from hookline.egress.transport import Failure, Outcome, Request, Response, TlsOptions, Transport
from hookline.model import OAuth2Auth

log = logging.getLogger("hookline.egress.access_tokens")

FETCH_TIMEOUT_S: Final = 10.0
MAX_ANSWER_BYTES: Final = 32_768
MAX_TOKEN_LENGTH: Final = 8_192
MAX_HELD: Final = 10_000  # endpoints whose token is in memory; the one used longest ago goes

DEFAULT_LIFETIME_S: Final = 300.0  # when the answer does not say
LONGEST_LIFETIME_S: Final = 86_400.0
EARLY_SHARE: Final = 0.1  # a token is not used in the last tenth of its life ...
MOST_EARLY_S: Final = 30.0  # ... or the last 30 seconds, whichever is shorter
MIN_AGE_S: Final = 10.0
HOLD_FAILURE_S: Final = 2.0  # so long nobody asks a token endpoint again that has just refused

_CUT: Final = frozenset({Reason.LEASE_LOST, Reason.CANCELED})
_TOKEN: Final = re.compile(r"[!-~]+", re.ASCII)
# RFC 6749, section 5.2. What else stands in an answer is not repeated: nobody knows what it may hold.
_ERRORS: Final = frozenset(
    {"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type"}
) | {"invalid_scope"}


@dataclass(frozen=True, slots=True, eq=False)
class AccessToken:
    """A token and, on the monotonic clock, since when we have it and until when it is used."""

    value: str = field(repr=False)
    since_s: float
    until_s: float


class _Answer(msgspec.Struct):
    access_token: str
    token_type: str = "bearer"  # noqa: S105  (no secret; RFC 6749 wants it, some servers leave it out)
    expires_in: float | str | None = None

    def __repr__(self) -> str:
        return "_Answer(***)"


class _Refusal(msgspec.Struct):
    error: str = ""


class _Entry:
    """What is known for one endpoint."""

    __slots__ = ("auth", "failure", "failure_until_s", "fetch", "tls", "token")

    def __init__(self, auth: OAuth2Auth, tls: TlsOptions | None) -> None:
        self.auth = auth
        self.tls = tls
        self.token: AccessToken | None = None
        self.failure: Failure | None = None
        self.failure_until_s = 0.0
        self.fetch: asyncio.Task[AccessToken | Failure] | None = None


class AccessTokens:
    """The tokens of one node."""

    def __init__(self, transport: Transport, clock: Clock) -> None:
        self._transport = transport
        self._clock = clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._fetches: set[asyncio.Task[AccessToken | Failure]] = set()

    async def get(
        self, owner: str, auth: OAuth2Auth, timeout_s: float, tls: TlsOptions | None = None
    ) -> AccessToken | Failure:
        """The token of an endpoint (`owner`), or why there is none; never longer than the time-out."""
        entry = self._entry(owner, auth, tls)
        now_s = self._clock.monotonic_s()
        if entry.token is not None and now_s < entry.token.until_s:
            return entry.token
        if entry.failure is not None and now_s < entry.failure_until_s:
            return Failure(entry.failure.reason, entry.failure.detail)
        fetch = entry.fetch
        if fetch is None:
            fetch = entry.fetch = asyncio.get_running_loop().create_task(self._fetch(entry))
            self._fetches.add(fetch)
            fetch.add_done_callback(self._fetches.discard)
        # Not cancelled when the time is over: others may wait longer, and the next attempt finds what it brought.
        done, _ = await asyncio.wait({fetch}, timeout=timeout_s)
        if not done:
            return _failed("The token endpoint did not answer within the time of this attempt.")
        result = fetch.result()
        return result if isinstance(result, AccessToken) else Failure(result.reason, result.detail)

    def reject(self, owner: str, token: AccessToken) -> bool:
        """The endpoint refused this token: forget it. Says whether another one may do better."""
        entry = self._entries.get(owner)
        if entry is None or entry.token is not token:
            return True
        if self._clock.monotonic_s() - token.since_s < MIN_AGE_S:
            # Failure policy: closed. It was just issued: whoever answers 401 to everything must not make us hammer
            # an authorization server.
            return False
        entry.token = None
        return True

    def _entry(self, owner: str, auth: OAuth2Auth, tls: TlsOptions | None) -> _Entry:
        entry = self._entries.get(owner)
        if entry is None or entry.auth != auth or entry.tls != tls:
            entry = self._entries[owner] = _Entry(auth, tls)
            if len(self._entries) > MAX_HELD:
                self._entries.popitem(last=False)
        self._entries.move_to_end(owner)
        return entry

    async def _fetch(self, entry: _Entry) -> AccessToken | Failure:
        since_s = self._clock.monotonic_s()
        try:
            result = read_answer(await self._transport.send(build_request(entry.auth, entry.tls)), since_s)
        except Exception:
            # Failure policy: closed. A mistake of ours; the attempt fails and its delivery is tried again.
            log.exception("a token cannot be fetched", extra={"action": "token_failed"})
            result = _failed("The token request could not be made.")
        finally:
            entry.fetch = None
        entry.token = entry.failure = None
        if isinstance(result, AccessToken):
            entry.token = result
        elif result.reason not in _CUT:
            entry.failure, entry.failure_until_s = result, self._clock.monotonic_s() + HOLD_FAILURE_S
        return result


def build_request(auth: OAuth2Auth, tls: TlsOptions | None) -> Request:
    """The token request: client credentials as HTTP Basic (RFC 6749, section 2.3.1) or, if so wished, in the body."""
    members = {"grant_type": "client_credentials", **auth.parameters}
    if auth.scope is not None:
        members["scope"] = auth.scope
    headers = [
        ("accept", "application/json"),
        ("content-type", "application/x-www-form-urlencoded"),
        ("user-agent", f"Hookline/{__version__}"),
    ]
    if auth.in_body:
        members |= {"client_id": auth.client_id, "client_secret": auth.client_secret}
    else:
        pair = f"{quote_plus(auth.client_id)}:{quote_plus(auth.client_secret)}"
        headers.append(("authorization", "Basic " + base64.b64encode(pair.encode()).decode("ascii")))
    body = urlencode(members).encode("ascii")
    return Request("POST", auth.token_url, headers, body, FETCH_TIMEOUT_S, tls, MAX_ANSWER_BYTES)


def read_answer(outcome: Outcome, since_s: float) -> AccessToken | Failure:
    """What came of a token request that was sent at `since_s`."""
    if isinstance(outcome, Failure):
        if outcome.reason in _CUT:
            return Failure(outcome.reason, outcome.detail)
        return _failed(f"The token endpoint gave no answer. {outcome.detail}")
    if outcome.truncated:
        return _failed(f"The token endpoint answered more than {MAX_ANSWER_BYTES} bytes.")
    if outcome.status != 200:
        return _failed(f"The token endpoint answered {outcome.status}{_error_of(outcome)}.")
    try:
        answer = msgspec.json.decode(outcome.body, type=_Answer)
        lifetime_s = DEFAULT_LIFETIME_S if answer.expires_in is None else float(answer.expires_in)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return _failed("The token endpoint's answer is not the JSON of RFC 6749, section 5.1.")
    if answer.token_type.lower() != "bearer":
        return _failed("The token endpoint issued a token of another type than Bearer.")
    if len(answer.access_token) > MAX_TOKEN_LENGTH or not _TOKEN.fullmatch(answer.access_token):
        return _failed(f"The token is not 1 to {MAX_TOKEN_LENGTH} printable ASCII characters.")
    if not lifetime_s > 0:
        return _failed("The token endpoint issued a token that has expired already.")
    lifetime_s = min(lifetime_s, LONGEST_LIFETIME_S)
    until_s = since_s + lifetime_s - min(lifetime_s * EARLY_SHARE, MOST_EARLY_S)
    return AccessToken(answer.access_token, since_s, until_s)


def _error_of(outcome: Response) -> str:
    try:
        error = msgspec.json.decode(outcome.body, type=_Refusal).error
    except (msgspec.DecodeError, ValueError, RecursionError):
        return ""
    return f" ({error})" if error in _ERRORS else ""


def _failed(detail: str) -> Failure:
    return Failure(Reason.OAUTH_TOKEN_FAILED, detail)
