"""TLS contexts: verification always on, TLS 1.2 at least, HTTP/1.1 only.

Building one reads the whole trust store (20 ms, and some 900 KiB to keep), so it happens in a thread, once per
distinct set of options, and is shared by every connection with those options. There is no switch that turns
verification off; an endpoint with a certificate of its own making gives its authority as `TlsOptions.ca_pem`.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
import tempfile
from collections import OrderedDict
from typing import IO, Final

from hookline.egress.reasons import SENTENCES, Reason
from hookline.egress.transport import TlsOptions
from hookline.errors import HooklineError

_MAX_CONTEXTS: Final = 128  # the one used longest ago goes; connections that have it keep it


class TlsOptionsError(HooklineError):
    """A certificate or key of an endpoint cannot be used."""

    code = Reason.TLS.value


class TlsContexts:
    """Makes and keeps one `SSLContext` per distinct `TlsOptions`."""

    def __init__(self, extra_ca_pem: str | None = None) -> None:
        self._extra_ca_pem = extra_ca_pem
        self._contexts: OrderedDict[TlsOptions | None, asyncio.Future[ssl.SSLContext]] = OrderedDict()

    async def get(self, options: TlsOptions | None) -> ssl.SSLContext:
        """Give the context for these options.

        Raises:
            TlsOptionsError: a PEM text is not usable.
        """
        building = self._contexts.get(options)
        if building is None or building.cancelled():
            if len(self._contexts) >= _MAX_CONTEXTS:
                self._contexts.popitem(last=False)
            building = asyncio.get_running_loop().run_in_executor(None, build_context, options, self._extra_ca_pem)
            self._contexts[options] = building
        self._contexts.move_to_end(options)
        # Shielded: the context outlives the request that first asked for it.
        return await asyncio.shield(building)


def build_context(options: TlsOptions | None, extra_ca_pem: str | None = None) -> ssl.SSLContext:
    """Build a context; slow. It trusts the system's authorities, the operator's extra ones, and the endpoint's own.

    Beside and not instead, so that a receiver can move between its own certificates and public ones without a gap.

    Raises:
        TlsOptionsError: a PEM text is not usable.
    """
    options = options or TlsOptions()
    try:
        context = ssl.create_default_context()
        for authorities in (extra_ca_pem, options.ca_pem):
            if authorities is not None:
                context.load_verify_locations(cadata=authorities)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        if options.client_cert_pem is not None:
            _load_client_certificate(context, options.client_cert_pem, options.client_key_pem or "")
    except (ssl.SSLError, ValueError) as error:
        raise TlsOptionsError(_UNUSABLE) from error
    return context


_UNUSABLE: Final = (
    "The endpoint's CA, client certificate or key is not valid PEM, or the key does not fit. Correct them."
)


def check_client_certificate(cert_pem: str, key_pem: str) -> None:
    """Let the TLS library say whether it can use these, without building a whole context.

    Raises:
        TlsOptionsError: it cannot: they do not belong together, or are too weak for it.
    """
    try:
        _load_client_certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), cert_pem, key_pem)
    except (ssl.SSLError, ValueError):
        raise TlsOptionsError(_UNUSABLE) from None


def _load_client_certificate(context: ssl.SSLContext, cert_pem: str, key_pem: str) -> None:
    """Load a certificate and key from memory. The ssl module reads files only, so they become one for a moment."""
    with _private_file() as file:
        file.write(f"{key_pem}\n{cert_pem}\n".encode())
        file.flush()
        path = file.name if isinstance(file.name, str) else f"/proc/self/fd/{file.fileno()}"
        # An empty password, so that an encrypted key is an error instead of a question on the terminal.
        context.load_cert_chain(path, password="")


def _private_file() -> IO[bytes]:
    """A file that is memory where the system has that, and else one that only we can read and that goes when closed."""
    if sys.platform == "linux":
        return os.fdopen(os.memfd_create("hookline-client-certificate", os.MFD_CLOEXEC), "wb")
    return tempfile.NamedTemporaryFile("wb")


def explain(error: ssl.SSLError) -> str:
    """Say what is wrong with the other side's TLS, in terms its owner can act on."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"The server's certificate was not accepted: {error.verify_message.rstrip('.')}."
    return SENTENCES[Reason.TLS]
