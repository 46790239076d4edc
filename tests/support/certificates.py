"""Certificates that trustme does not make: wrong dates, odd keys, leaves; PEM texts of those that it does."""

from __future__ import annotations

import datetime as dt
from typing import Any

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from hookline.model import ClientCertificate

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)


def pem(authority: trustme.CA) -> str:
    return authority.cert_pem.bytes().decode()


def client_certificate(authority: trustme.CA, identity: str = "sender@hookline.example") -> ClientCertificate:
    issued = authority.issue_cert(identity)
    chain = "".join(blob.bytes().decode() for blob in issued.cert_chain_pems)
    return ClientCertificate(chain, issued.private_key_pem.bytes().decode())


def key_pem(key: Any, password: bytes | None = None, format_: PrivateFormat = PrivateFormat.PKCS8) -> str:
    encryption = NoEncryption() if password is None else BestAvailableEncryption(password)
    return key.private_bytes(Encoding.PEM, format_, encryption).decode()


def self_signed(
    key: Any = None, *, start: dt.datetime = NOW - DAY, end: dt.datetime = NOW + DAY, ca: bool | None = None
) -> ClientCertificate:
    """A certificate that signed itself, and its key."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "itself")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), start, end)
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
    algorithm = SHA256() if hasattr(key, "key_size") else None  # Ed25519 has its own
    certificate = builder.sign(key, algorithm)
    return ClientCertificate(certificate.public_bytes(Encoding.PEM).decode(), key_pem(key))
