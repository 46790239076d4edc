"""`explain`: why a request does not verify, in plain words, for the person who holds the secret.

It runs the same `verify` first and trusts nothing else: a diagnosis never makes a request valid. Then it looks at
headers, time, keys and signature one by one, and at last tries the common mistakes (`variants`) until one of them
makes the signature match. Meant for a command line or a log that only the operator reads, never for an answer to the
sender.
"""

from __future__ import annotations

import hmac
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from hookline.signatures import ed25519
from hookline.signatures.errors import SignatureError
from hookline.signatures.keys import Key, SymmetricKey, parse_key
from hookline.signatures.standard import build_content, is_timestamp
from hookline.signatures.variants import (
    Variant,
    list_body_variants,
    list_secret_variants,
    list_signature_variants,
    read_public_key,
)
from hookline.signatures.verification import (
    DEFAULT_TOLERANCE_S,
    HEADER_FAMILIES,
    HEADER_PARTS,
    Verified,
    read_signed_headers,
    verify,
)
from hookline.signatures.wire import HeaderItems, HeaderPairs, list_headers, read_body
