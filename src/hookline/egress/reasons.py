"""Why a request got no usable answer: one code for programs, one sentence for the customer.

The sentences name no address, no internal host and no library error: whoever may register an URL also reads them,
and a message that tells refused addresses apart would be a port scanner with a polite face.
"""

from __future__ import annotations

import enum
from types import MappingProxyType
from typing import Final


class Reason(enum.StrEnum):
    """Every way in which an attempt can fail. The values are public and stable."""

    INVALID_URL = "invalid_url"
    INVALID_REQUEST = "invalid_request"
    INVALID_HEADER = "invalid_header"
    BLOCKED_ADDRESS = "blocked_address"
    BLOCKED_PORT = "blocked_port"
    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    PROXY = "proxy"
    TIMEOUT_CONNECT = "timeout_connect"
    TIMEOUT_TLS = "timeout_tls"
    TIMEOUT_TOTAL = "timeout_total"
    CONNECTION_RESET = "connection_reset"
    CLOSED_EARLY = "closed_early"
    MALFORMED_RESPONSE = "malformed_response"
    UNSUPPORTED_UPGRADE = "unsupported_upgrade"
    TOO_MANY_INFORMATIONAL = "too_many_informational"
    RESPONSE_TOO_LARGE = "response_too_large"
    HTTP_STATUS = "http_status"
    OAUTH_TOKEN_FAILED = "oauth_token_failed"  # noqa: S105  (no secret)
    TRANSFORM_FAILED = "transform_failed"
    LEASE_LOST = "lease_lost"
    CANCELED = "canceled"


SENTENCES: Final = MappingProxyType(
    {
        Reason.INVALID_URL: "The URL is not one that deliveries can be sent to. Correct it.",
        Reason.INVALID_REQUEST: "The request cannot be sent as it stands. Correct the endpoint's method or time limit.",
        Reason.INVALID_HEADER: "A header name or value is not allowed in HTTP. Correct the endpoint's headers.",
        Reason.BLOCKED_ADDRESS: (
            "The host is at an address that deliveries may not go to (private, local or reserved). "
            "Use a public address, or ask the operator of this server to allow the network."
        ),
        Reason.BLOCKED_PORT: "Deliveries may not go to this port. Use the port of a web server, such as 443.",
        Reason.DNS: "The host name could not be resolved. Check the URL and the host's DNS records.",
        Reason.CONNECT: "No connection could be made. Check that the server is up and reachable from the internet.",
        Reason.TLS: "No trusted TLS connection could be made. Check the server's certificate and TLS version.",
        Reason.PROXY: "The outbound proxy did not connect us. The operator of this server can say why.",
        Reason.TIMEOUT_CONNECT: "The server did not accept the connection in time. Check that it is up.",
        Reason.TIMEOUT_TLS: "The server did not finish the TLS handshake in time. Check its TLS set-up.",
        Reason.TIMEOUT_TOTAL: "The server did not answer completely in time. Answer first and do slow work afterwards.",
        Reason.CONNECTION_RESET: "The server cut the connection before it had answered.",
        Reason.CLOSED_EARLY: "The server closed the connection before its answer was complete.",
        Reason.MALFORMED_RESPONSE: "The answer is not valid HTTP/1.1. Check what listens at this URL.",
        Reason.UNSUPPORTED_UPGRADE: "The server wanted to change the protocol. Answer with plain HTTP.",
        Reason.TOO_MANY_INFORMATIONAL: "The server sent too many interim (1xx) answers. Send the final one.",
        Reason.RESPONSE_TOO_LARGE: "The answer's headers or framing are too large. Answer briefly; a status is enough.",
        Reason.HTTP_STATUS: "The server answered with a status that does not mean success.",
        Reason.OAUTH_TOKEN_FAILED: "No access token could be had for this endpoint. Check its auth.",
        Reason.TRANSFORM_FAILED: "The endpoint's transform has no result for this payload. Correct it, then resend.",
        Reason.LEASE_LOST: "The request was cut because its node may no longer deliver. Another node takes over.",
        Reason.CANCELED: "The request was canceled before an answer came.",
    }
)
