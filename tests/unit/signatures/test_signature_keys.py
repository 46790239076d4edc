"""Key formats: what is read, what is refused, and that nothing shows a secret."""

from __future__ import annotations

import base64
import subprocess
import sys
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.signatures import (
    SignatureError,
    SignatureErrorCode,
    SigningKey,
    SymmetricKey,
    VerifyingKey,
    generate_ed25519,
    generate_symmetric,
    parse_key,
)
from hookline.signatures.ed25519 import is_safe_public_key

SECRET_TEXT = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SIGNING_TEXT = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
VERIFYING_TEXT = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="


def refuse(text: object) -> SignatureError:
    with pytest.raises(SignatureError) as caught:
        parse_key(text)  # type: ignore[arg-type]
    assert caught.value.code == SignatureErrorCode.MALFORMED_KEY
    return caught.value


@pytest.mark.parametrize(
    ("text", "kind"),
    [(SECRET_TEXT, SymmetricKey), (SIGNING_TEXT, SigningKey), (VERIFYING_TEXT, VerifyingKey)],
)
def test_text_round_trip(text: str, kind: type) -> None:
    key = parse_key(text)
    assert type(key) is kind
    assert key.to_text() == text
    assert parse_key(f"  {text}\n") == key


def test_a_signing_key_knows_its_public_half() -> None:
    key = parse_key(SIGNING_TEXT)
    assert isinstance(key, SigningKey)
    assert key.verifying_key == parse_key(VERIFYING_TEXT)


def test_a_bare_seed_is_the_same_signing_key() -> None:
    seed = base64.b64decode(SIGNING_TEXT.removeprefix("whsk_"))[:32]
    assert parse_key("whsk_" + base64.b64encode(seed).decode()).to_text() == SIGNING_TEXT


def test_padding_may_be_missing_and_is_written() -> None:
    text = generate_symmetric(b"x" * 25).to_text()
    assert text.endswith("==")
    assert parse_key(text.rstrip("=")).to_text() == text


@pytest.mark.parametrize("length", [24, 32, 64, 65, 75])
def test_secrets_from_24_to_75_bytes_are_read(length: int) -> None:
    text = "whsec_" + base64.b64encode(b"s" * length).decode()
    assert parse_key(text) == SymmetricKey(b"s" * length)


@pytest.mark.parametrize("length", [0, 1, 23, 76, 100])
def test_other_lengths_are_refused(length: int) -> None:
    refuse("whsec_" + base64.b64encode(b"s" * length).decode())


@pytest.mark.parametrize("length", [0, 23, 65])
def test_generated_secrets_have_24_to_64_bytes(length: int) -> None:
    with pytest.raises(SignatureError) as caught:
        generate_symmetric(b"r" * length)
    assert caught.value.code == SignatureErrorCode.MALFORMED_KEY
    assert generate_symmetric(b"r" * 64).secret == b"r" * 64


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_generated_pair_takes_exactly_32_bytes(length: int) -> None:
    with pytest.raises(SignatureError):
        generate_ed25519(b"r" * length)
    assert generate_ed25519(b"r" * 32).seed == b"r" * 32


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        "whsk_",
        "whpk_",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_MfKQ9r8GKYqr TwjUPD8ILPZIo2LaLaSw",
        "whsec_MfKQ9r8GKYqr-wjUPD8ILPZIo2LaLa_w",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw=====",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS\ud800",
        "whsec_\u041cfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsk_" + base64.b64encode(b"s" * 33).decode(),
        "whsk_" + base64.b64encode(b"s" * 64).decode(),  # halves that do not belong together
        "whpk_" + base64.b64encode(b"s" * 31).decode(),
        "whpk_" + base64.b64encode(bytes(32)).decode(),
        None,
        b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        5,
    ],
)
def test_malformed_text_is_refused(text: object) -> None:
    refuse(text)


@given(st.text())
def test_errors_never_repeat_the_text(text: str) -> None:
    marker = "QQsecretQQ"
    error = refuse(f"whsec_{marker}{text}\ud800")
    trace = "".join(traceback.format_exception(error))
    assert marker not in str(error)
    assert marker not in trace
    assert error.__cause__ is None
    assert error.__context__ is None  # a UnicodeEncodeError there would carry the whole text


def test_repr_and_formatting_show_no_secret() -> None:
    for text in (SECRET_TEXT, SIGNING_TEXT):
        key = parse_key(text)
        secret = key.secret if isinstance(key, SymmetricKey) else key.seed  # type: ignore[union-attr]
        for shown in (repr(key), str(key), f"{key}", f"{[key]}"):
            assert text[6:20] not in shown
            assert repr(secret)[2:10] not in shown
            assert secret.hex()[:8] not in shown
    assert VERIFYING_TEXT in repr(parse_key(VERIFYING_TEXT))


def test_equality_and_hash_follow_content_and_kind() -> None:
    assert parse_key(SECRET_TEXT) == parse_key(SECRET_TEXT)
    assert len({parse_key(SECRET_TEXT), parse_key(SECRET_TEXT), parse_key(SIGNING_TEXT)}) == 2
    assert SymmetricKey(b"a" * 32) != SymmetricKey(b"a" * 31 + b"b")
    assert SymmetricKey(b"a" * 32) != SigningKey(b"a" * 32)
    assert SigningKey(b"a" * 32) != SigningKey(b"b" * 32)


# Small-order points, checked by the curve itself: eight times the point is the neutral element.
P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P


def add(left: tuple[int, int], right: tuple[int, int]) -> tuple[int, int]:
    (x1, y1), (x2, y2) = left, right
    product = D * x1 * x2 * y1 * y2 % P
    return (
        (x1 * y2 + x2 * y1) * pow(1 + product, -1, P) % P,
        (y1 * y2 + x1 * x2) * pow(1 - product, -1, P) % P,
    )


def lift(y: int) -> tuple[int, int]:
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    assert (x * x - square) % P == 0
    return x, y


def is_small_order(y: int) -> bool:
    point = lift(y)
    for _ in range(3):
        point = add(point, point)
    return point == (0, 1)


def test_public_keys_of_small_order_are_refused_and_others_are_not() -> None:
    order_eight_y = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
    for y in (0, 1, P - 1, order_eight_y, P - order_eight_y):
        assert is_small_order(y)
        for sign_bit in (0, 1 << 255):
            assert not is_safe_public_key((y | sign_bit).to_bytes(32, "little"))
    for not_canonical in (P, P + 1):
        assert not is_safe_public_key(not_canonical.to_bytes(32, "little"))
    genuine = generate_ed25519(b"r" * 32).verifying_key.public_key
    assert not is_small_order(int.from_bytes(genuine, "little") & (2**255 - 1))
    assert is_safe_public_key(genuine)


IMPORT_WITHOUT_CRYPTOGRAPHY = """
import sys
sys.modules["cryptography"] = None
from hookline.signatures import SignatureError, StandardSigner, parse_key, verify
key = parse_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
headers = {"webhook-id": "m", "webhook-timestamp": "1", "webhook-signature": StandardSigner(key).sign("m", 1, b"")}
assert verify(headers, b"", key, now_s=1).version == "v1"
public = parse_key("whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=")
headers["webhook-signature"] = "v1a," + "A" * 86 + "=="
try:
    verify(headers, b"", public, now_s=1)
except SignatureError as error:
    print(error.code)
"""


def test_hmac_works_without_the_cryptography_package_and_ed25519_fails_closed() -> None:
    result = subprocess.run(
        [sys.executable, "-c", IMPORT_WITHOUT_CRYPTOGRAPHY], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == SignatureErrorCode.ED25519_UNAVAILABLE


def test_importing_the_room_does_not_import_cryptography() -> None:
    code = "import sys, hookline.signatures; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
