"""The rules for PEM texts that an endpoint brings: its client certificate with the key, and authorities to trust.

Nothing of a key is ever repeated in a message, and no error of a library is chained to one of ours: it could carry the
text into a log. Certificates are shown in answers, so a text that also has a key in it is refused.
"""

from __future__ import annotations

import base64
import math
import re
import warnings
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key
from cryptography.x509.oid import PublicKeyAlgorithmOID

from hookline.egress import TlsOptionsError, check_client_certificate
from hookline.model import ClientCertificate
from hookline.services.validation import Findings

MAX_CERTIFICATE_LENGTH: Final = 32_768
MAX_KEY_LENGTH: Final = 16_384
MAX_AUTHORITIES_LENGTH: Final = 65_536
MAX_CHAIN: Final = 10
MAX_AUTHORITIES: Final = 20
MIN_RSA_BITS: Final = 2_048
MAX_RSA_BITS: Final = 4_096  # each handshake signs with it
_KINDS: Final = frozenset(
    {
        PublicKeyAlgorithmOID.RSAES_PKCS1_v1_5,
        PublicKeyAlgorithmOID.RSASSA_PSS,
        PublicKeyAlgorithmOID.EC_PUBLIC_KEY,
        PublicKeyAlgorithmOID.DSA,
        PublicKeyAlgorithmOID.ED25519,
        PublicKeyAlgorithmOID.ED448,
    }
)
# Object identifiers in DER: PKCS #3 and X9.42.
_DIFFIE_HELLMAN: Final = (bytes.fromhex("06092a864886f70d010301"), bytes.fromhex("06072a8648ce3e0201"))
_KEY_BLOCK: Final = re.compile(r"-----BEGIN (?:RSA |EC )?PRIVATE KEY-----([^-]*)-----END", re.ASCII)
CURVES: Final = frozenset({"secp256r1", "secp384r1", "secp521r1"})

Path = tuple[str, ...]
_CERTIFICATE: Final[Path] = ("client_certificate", "certificate_pem")
_KEY: Final[Path] = ("client_certificate", "private_key_pem")
_AUTHORITIES: Final[Path] = ("ca_pem",)


def check_certificate(certificate: ClientCertificate, now_ms: int, findings: Findings) -> None:
    """A chain, ours first, that is valid now, and the unencrypted private key that belongs to it."""
    known = len(findings.problems)
    chain = _read_certificates(certificate.certificate_pem, _CERTIFICATE, MAX_CERTIFICATE_LENGTH, MAX_CHAIN, findings)
    key = _read_key(certificate.private_key_pem, findings)
    if chain:
        _check_dates(chain[0], "The client certificate", now_ms, _CERTIFICATE, findings)
    if key is not None and chain and not _fit(key, chain[0]):
        findings.add(_KEY, "This private key does not belong to the first certificate of the chain. Give the other.")
    if len(findings.problems) > known:
        return
    try:
        check_client_certificate(certificate.certificate_pem, certificate.private_key_pem)
    except TlsOptionsError:
        findings.add(_CERTIFICATE, "TLS cannot use this certificate: it is too weak, or malformed. Make a new one.")


def check_authorities(text: str, now_ms: int, findings: Findings) -> None:
    """Certificates of authorities that are valid now; one that signed itself is its own authority."""
    certificates = _read_certificates(text, _AUTHORITIES, MAX_AUTHORITIES_LENGTH, MAX_AUTHORITIES, findings)
    for number, certificate in enumerate(certificates, 1):
        _check_dates(certificate, f"Certificate {number}", now_ms, _AUTHORITIES, findings)
        if not _is_authority(certificate):
            findings.add(
                _AUTHORITIES,
                f"Certificate {number} is not an authority's: it may not sign others. Give the certificate of the "
                "authority that issued it.",
            )


def _read_certificates(text: str, path: Path, longest: int, most: int, findings: Findings) -> list[x509.Certificate]:
    """The certificates in a text; none after a finding."""
    if not text.isascii() or len(text) > longest:
        findings.add(path, f"Use PEM text of at most {longest} characters.", "string_length")
        return []
    if "PRIVATE KEY" in text:
        findings.add(path, "There is a private key in this text, which answers would show. Give certificates alone.")
        return []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is odd in somebody's certificate; TLS has the last word
            certificates = x509.load_pem_x509_certificates(text.encode("ascii"))
    except (ValueError, UnsupportedAlgorithm):
        findings.add(path, "This is not a certificate in PEM form (-----BEGIN CERTIFICATE-----). Copy it in full.")
        return []
    if len(certificates) > most:
        findings.add(path, f"At most {most} certificates.", "too_long")
        return []
    if any(certificate.public_key_algorithm_oid not in _KINDS for certificate in certificates):
        # Not only of no use: to read a Diffie-Hellman key takes minutes, see `_load_key`.
        findings.add(path, "Use certificates with RSA, EC or Ed25519 keys: TLS servers know no others.")
        return []
    return certificates


def _read_key(text: str, findings: Findings) -> PrivateKeyTypes | None:
    problem = "This is not a private key in PEM form (-----BEGIN PRIVATE KEY-----). Copy it in full."
    if not text.isascii() or len(text) > MAX_KEY_LENGTH:
        problem = f"Use PEM text of at most {MAX_KEY_LENGTH} characters."
    elif "ENCRYPTED" in text:
        problem = "This private key is encrypted. Decrypt it first: openssl pkey -in key.pem -out decrypted.pem"
    else:
        try:
            key = _load_key(text)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            pass
        else:
            weakness = _weakness(key)
            if weakness is None:
                return key
            problem = weakness
    findings.add(_KEY, problem)
    return None


def _load_key(text: str) -> PrivateKeyTypes:
    """The one private key in a text.

    The library tests whether the numbers of a key are prime, which takes minutes for those that somebody chose for it.
    Diffie-Hellman keys, which TLS has no use for, are not even begun; of RSA keys `_is_whole` checks that their numbers
    belong together, and if they are no primes all the same, TLS fails.

    Raises:
        ValueError, TypeError, UnsupportedAlgorithm: it is none.
    """
    blocks = _KEY_BLOCK.findall(text)
    if len(blocks) != 1 or text.count("PRIVATE KEY-----") != 2:
        raise ValueError("not one key")
    content = base64.b64decode("".join(blocks[0].split()), validate=True)
    if any(algorithm in content for algorithm in _DIFFIE_HELLMAN):
        raise ValueError("a Diffie-Hellman key")
    return load_der_private_key(content, password=None, unsafe_skip_rsa_key_validation=True)


def _weakness(key: PrivateKeyTypes) -> str | None:
    match key:
        case rsa.RSAPrivateKey():
            if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
                return f"An RSA key needs {MIN_RSA_BITS} bits at least, and {MAX_RSA_BITS} at most."
            return None if _is_whole(key) else "The parts of this RSA key do not belong together. Copy it in full."
        case ec.EllipticCurvePrivateKey():
            return None if key.curve.name in CURVES else "Use one of the curves P-256, P-384 and P-521."
        case ed25519.Ed25519PrivateKey():
            return None
        case _:
            return "Use an RSA, EC or Ed25519 key: TLS servers know no others."


def _is_whole(key: rsa.RSAPrivateKey) -> bool:
    """Whether the numbers of an RSA key belong together (RFC 8017, section 3.2), prime or not."""
    try:
        numbers = key.private_numbers()
    except ValueError:
        return False
    p, q, d, public = numbers.p, numbers.q, numbers.d, numbers.public_numbers
    return (
        p > 2
        and q > 2
        and p * q == public.n
        and 0 < d < public.n
        and d * public.e % math.lcm(p - 1, q - 1) == 1
        and (numbers.dmp1, numbers.dmq1) == (d % (p - 1), d % (q - 1))
        and numbers.iqmp * q % p == 1
    )


def _fit(key: PrivateKeyTypes, certificate: x509.Certificate) -> bool:
    try:
        return _public_bytes(key.public_key()) == _public_bytes(certificate.public_key())
    except (ValueError, UnsupportedAlgorithm):
        return False


def _public_bytes(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _check_dates(certificate: x509.Certificate, what: str, now_ms: int, path: Path, findings: Findings) -> None:
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    if certificate.not_valid_after_utc < now:
        findings.add(path, f"{what} expired on {certificate.not_valid_after_utc:%Y-%m-%d}. Give one that is valid.")
    elif certificate.not_valid_before_utc > now:
        findings.add(
            path, f"{what} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d}. Wait, or give another."
        )


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        if certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return True
    except (x509.ExtensionNotFound, ValueError):
        pass
    try:
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True
