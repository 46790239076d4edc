"""Outbound requests to addresses that strangers chose: the URL gate, the address guard, the delivery client.

transport = HttpTransport(EgressPolicy.from_settings(allow="10.1.0.0/16"))
outcome = await transport.send(Request("POST", url, headers, body, timeout_s=15))
if isinstance(outcome, Failure):
    print(outcome.reason, outcome.detail)
"""

from hookline.egress.access_tokens import AccessToken, AccessTokens
from hookline.egress.client import HttpTransport
from hookline.egress.fetch import Fetched, Fetcher, FetchError
from hookline.egress.guard import Guard, Verdict, guard_for
from hookline.egress.headers import MAX_CUSTOM_HEADERS, HeaderRefused, check_custom_headers, is_header_name
from hookline.egress.memory import MemoryTransport
from hookline.egress.policy import EgressPolicy, EgressSettingsError, Limits, Proxy, parse_networks
from hookline.egress.reasons import SENTENCES, Reason
from hookline.egress.resolver import ResolveError, Resolver, StaticResolver, SystemResolver
from hookline.egress.tls import TlsOptionsError, build_context, check_client_certificate
from hookline.egress.transport import Failure, Handle, Outcome, Request, Response, TlsOptions, Transport
from hookline.egress.url import Target, UrlRefused, parse_url

__all__ = [
    "MAX_CUSTOM_HEADERS",
    "SENTENCES",
    "AccessToken",
    "AccessTokens",
    "EgressPolicy",
    "EgressSettingsError",
    "Failure",
    "FetchError",
    "Fetched",
    "Fetcher",
    "Guard",
    "Handle",
    "HeaderRefused",
    "HttpTransport",
    "Limits",
    "MemoryTransport",
    "Outcome",
    "Proxy",
    "Reason",
    "Request",
    "ResolveError",
    "Resolver",
    "Response",
    "StaticResolver",
    "SystemResolver",
    "Target",
    "TlsOptions",
    "TlsOptionsError",
    "Transport",
    "UrlRefused",
    "Verdict",
    "build_context",
    "check_client_certificate",
    "check_custom_headers",
    "guard_for",
    "is_header_name",
    "parse_networks",
    "parse_url",
]
