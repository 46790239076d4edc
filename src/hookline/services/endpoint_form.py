"""What a caller says about an endpoint, and the rules for it.

One form serves creation, replacement and partial update: a partial update starts from `EndpointForm.of(endpoint)`,
so that every way in passes the same checks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from hookline.dialects import (
    DIALECTS,
    DialectError,
    Transform,
    TransformError,
    effective_policy,
    get_dialect,
    prepare_endpoint,
)
from hookline.egress import (
    MAX_CUSTOM_HEADERS,
    EgressPolicy,
    HeaderRefused,
    UrlRefused,
    check_custom_headers,
    is_header_name,
    parse_url,
)
from hookline.model import (
    NO_EXTRAS,
    ClientCertificate,
    ConditionError,
    Endpoint,
    EndpointAuth,
    EndpointStatus,
    Extras,
    RetryPolicy,
    compile_conditions,
    ids,
)
from hookline.model.ordering import compile_order_key
from hookline.model.payload_path import PathError
from hookline.services.certificates import check_authorities, check_certificate
from hookline.services.endpoint_auth import AuthForm, resolve_auth
from hookline.services.errors import InvalidError, Problem
from hookline.services.validation import (
    Findings,
    check_channels,
    check_description,
    check_event_types,
    check_metadata,
    check_throttle_rate,
    check_uid,
)

MAX_CHANNELS: Final = 10
MAX_RETRIES: Final = 100
LONGEST_DELAY_S: Final = 7 * 86_400.0
SHORTEST_TIMEOUT_S: Final = 0.1
LONGEST_TIMEOUT_S: Final = 120.0
LONGEST_RETRY_AFTER_S: Final = 7 * 86_400.0
MAX_OPTIONS_BYTES: Final = 4_096


class PolicyForm(msgspec.Struct, frozen=True):
    """How an endpoint wants to be tried; what is None stays as the dialect (or the operator) has it."""

    schedule_s: tuple[float, ...] | None = None
    timeout_s: float | None = None
    jitter: float | None = None
    retry_after_cap_s: float | None = None
    final_client_errors: bool | None = None


class EndpointForm(msgspec.Struct, frozen=True):
    """Everything that can be said about an endpoint. `event_types` and `channels` of None mean all."""

    url: str
    description: str = ""
    uid: str | None = None
    version: int = 1
    event_types: tuple[str, ...] | None = None
    channels: tuple[str, ...] | None = None
    disabled: bool = False
    paused: bool = False
    throttle_rate: int | None = None
    metadata: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    secret: str | None = None
    dialect: str = "standard"
    options: Mapping[str, Any] = {}
    policy: PolicyForm | None = None
    ordered: bool = False
    filter: Mapping[str, Any] | None = None
    ordered_by: str | None = None
    auth: AuthForm | EndpointAuth | None = None
    client_certificate: ClientCertificate | None = None
    ca_pem: str | None = None
    transform: str | None = None
    transform_enabled: bool = True

    @classmethod
    def of(cls, endpoint: Endpoint) -> EndpointForm:
        """The form that says what is already so; without the secret, which then stays."""
        return cls(
            url=endpoint.url,
            description=endpoint.description,
            uid=endpoint.uid,
            version=endpoint.version,
            event_types=endpoint.event_types,
            channels=endpoint.channels,
            disabled=endpoint.status is EndpointStatus.DISABLED,
            paused=endpoint.status is EndpointStatus.PAUSED,
            throttle_rate=endpoint.throttle_rate,
            metadata=endpoint.metadata,
            headers=endpoint.headers,
            dialect=endpoint.dialect,
            options=endpoint.options,
            policy=None if endpoint.policy is None else PolicyForm(**msgspec.structs.asdict(endpoint.policy)),
            ordered=endpoint.ordered,
            filter=endpoint.extras.filter,
            ordered_by=endpoint.extras.order_key,
            auth=endpoint.extras.auth,
            client_certificate=endpoint.extras.client_certificate,
            ca_pem=endpoint.extras.ca_pem,
            transform=endpoint.extras.transform,
            transform_enabled=endpoint.extras.transform_enabled,
        )

    def __repr__(self) -> str:
        return f"EndpointForm(url={self.url!r}, dialect={self.dialect!r})"

    __str__ = __repr__


def check_form(form: EndpointForm, egress: EgressPolicy, now_ms: int, kept: Extras = NO_EXTRAS) -> None:
    """Raises InvalidError with everything that is wrong, except what only the dialect can tell.

    `kept` is what the endpoint has so far: members of it that stay are not judged again.
    """
    findings = Findings()
    try:
        parse_url(form.url, egress)
    except UrlRefused as error:
        findings.add("url", error.message, error.code)
    check_uid(form.uid, ids.ENDPOINT, findings)
    check_description(form.description, findings)
    check_event_types(form.event_types, findings)
    check_channels(form.channels, MAX_CHANNELS, findings)
    check_throttle_rate(form.throttle_rate, findings)
    check_metadata(form.metadata, findings)
    if not 1 <= form.version <= 2**31 - 1:
        findings.add("version", "Use a number from 1.", "range")
    if form.dialect not in DIALECTS:
        findings.add("dialect", f"Use one of {', '.join(sorted(DIALECTS))}.", "enum")
    else:
        _check_options(form, findings)
    if form.policy is not None:
        _check_policy(form.policy, findings)
    try:
        check_custom_headers(form.headers.items())
    except HeaderRefused as error:
        findings.add("headers", error.message, error.code)
    if form.filter is not None:
        _check_filter(form.filter, findings)
    if form.ordered_by is not None:
        _check_order(form.ordered_by, findings, ordered=form.ordered)
    _check_credentials(form, kept, egress, now_ms, findings)
    if form.transform is not None and form.transform != kept.transform:
        _check_transform(form.transform, findings)
    findings.finish()


def _check_credentials(form: EndpointForm, kept: Extras, egress: EgressPolicy, now_ms: int, findings: Findings) -> None:
    """What stays is not checked again: a certificate that ran out must not forbid to change a description."""
    resolve_auth(form.auth, kept.auth, egress, findings)
    if form.client_certificate is not None and form.client_certificate != kept.client_certificate:
        check_certificate(form.client_certificate, now_ms, findings)
    if form.ca_pem is not None and form.ca_pem != kept.ca_pem:
        check_authorities(form.ca_pem, now_ms, findings)


def _check_transform(expression: str, findings: Findings) -> None:
    try:
        Transform(expression)
    except TransformError as error:
        findings.add("transform", error.message, error.code)


def fill_extras(kept: Extras, form: EndpointForm, egress: EgressPolicy) -> Extras:
    """The wishes of an endpoint after a form that passed `check_form`."""
    return msgspec.structs.replace(
        kept,
        filter=form.filter,
        order_key=form.ordered_by,
        auth=resolve_auth(form.auth, kept.auth, egress, Findings()),
        client_certificate=form.client_certificate,
        ca_pem=form.ca_pem,
        transform=form.transform,
        transform_enabled=form.transform_enabled or form.transform is None,
    )


def check_headers(headers: Mapping[str, str]) -> None:
    """Raises InvalidError when one of the headers may not be sent."""
    try:
        check_custom_headers(headers.items())
    except HeaderRefused as error:
        raise InvalidError([Problem(("headers",), error.message, error.code)]) from error


def check_header_names(names: Sequence[str], field: str) -> None:
    """Raises InvalidError when there are more names than an endpoint can have headers, or one that none can have."""
    findings = Findings()
    if len(names) > MAX_CUSTOM_HEADERS:
        findings.add(field, f"At most {MAX_CUSTOM_HEADERS} names: an endpoint has no more headers.", "too_long")
    for index, name in enumerate(names[:MAX_CUSTOM_HEADERS]):
        if not is_header_name(name):
            findings.add((field, index), "This is no name of a header.", "string_pattern")
    findings.finish()


def check_prepared(endpoint: Endpoint) -> None:
    """Let the dialect itself say whether it can send with these secrets and options.

    Raises:
        InvalidError: it cannot.
    """
    try:
        prepare_endpoint(endpoint)
    except DialectError as error:
        # Not chained: whatever the dialect was looking at may hold a secret.
        raise InvalidError([Problem(_path(error), error.message, error.code)]) from None


def merge_policy(
    endpoint: Endpoint, wishes: PolicyForm | None, default_schedule_s: tuple[float, ...] | None
) -> RetryPolicy | None:
    """The whole policy of an endpoint that wants something of its own; None when it does not."""
    if wishes is None:
        return None
    stated = {name: value for name, value in msgspec.structs.asdict(wishes).items() if value is not None}
    without = msgspec.structs.replace(endpoint, policy=None)
    base = effective_policy(get_dialect(endpoint.dialect), without, default_schedule_s)
    return msgspec.structs.replace(base, **stated)


def _check_options(form: EndpointForm, findings: Findings) -> None:
    try:
        if len(msgspec.json.encode(form.options)) > MAX_OPTIONS_BYTES:
            findings.add("options", f"Options may take {MAX_OPTIONS_BYTES} bytes as JSON.", "too_long")
            return
    except (UnicodeEncodeError, RecursionError, TypeError, ValueError):
        findings.add("options", "Options must be valid JSON.", "json")
        return
    try:
        get_dialect(form.dialect).check_options(form.options)
    except DialectError as error:
        findings.add(_path(error), error.message, error.code)


def _check_order(path: str, findings: Findings, *, ordered: bool) -> None:
    if not ordered:
        findings.add("ordered_by", "Only ordered endpoints have an order: set ordered to true, or this to null.")
    try:
        compile_order_key(path)
    except PathError as error:
        findings.add("ordered_by", error.message, error.code)


def _check_filter(conditions: Mapping[str, Any], findings: Findings) -> None:
    try:
        compile_conditions(conditions)
    except ConditionError as error:
        findings.add(("filter", *error.path), error.message, error.code)


def _path(error: DialectError) -> tuple[str, ...]:
    return tuple((error.field or "dialect").split("."))


def _check_policy(policy: PolicyForm, findings: Findings) -> None:
    delays = policy.schedule_s or ()
    if len(delays) > MAX_RETRIES:
        findings.add(("policy", "schedule_s"), f"At most {MAX_RETRIES} retries.", "too_long")
    # Written as «not inside»: a NaN is inside of nothing.
    for index, delay_s in enumerate(delays):
        if not 0 <= delay_s <= LONGEST_DELAY_S:
            findings.add(("policy", "schedule_s", index), f"Use 0 to {LONGEST_DELAY_S:.0f} seconds.", "range")
    for name, value, least, most in (
        ("timeout_s", policy.timeout_s, SHORTEST_TIMEOUT_S, LONGEST_TIMEOUT_S),
        ("jitter", policy.jitter, 0.0, 1.0),
        ("retry_after_cap_s", policy.retry_after_cap_s, 0.0, LONGEST_RETRY_AFTER_S),
    ):
        if value is not None and not least <= value <= most:
            findings.add(("policy", name), f"Use {least:g} to {most:g}.", "range")
