"""WeChat Pay's platform certificates, beside its public key; more than one may be good (PLATFORMS B2)."""

import datetime as dt
import secrets
from typing import NamedTuple, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from miniback.sandbox.keys import keys
from miniback.sandbox.models import Certificate

FIVE_YEARS = dt.timedelta(days=5 * 365)


class Signer(NamedTuple):
    serial: str
    key: rsa.RSAPrivateKey


def newest() -> Certificate:
    """The certificate that signs now; made when it is first needed."""
    return Certificate.objects.order_by("-id").first() or rotate()


def rotate() -> Certificate:
    """From now on a new one signs; the old ones stay good."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sandbox of WeChat Pay")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        # A full first digit: some clients drop leading zeros.
        .serial_number(int("7" + secrets.token_hex(19), 16))
        .not_valid_before(now - dt.timedelta(minutes=1))
        .not_valid_after(now + FIVE_YEARS)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return Certificate.objects.create(
        serial=f"{made.serial_number:X}",
        pem=made.public_bytes(serialization.Encoding.PEM).decode(),
        private_pem=private.decode(),
        begins_at=made.not_valid_before_utc,
        ends_at=made.not_valid_after_utc,
    )


def signer(serial: str) -> Signer:
    """Whoever has that serial; the public key for any other."""
    known = Certificate.objects.filter(serial=serial).first() if serial else None
    if known is None:
        return Signer(keys().public_key_id, keys().platform_private)
    key = serialization.load_pem_private_key(known.private_pem.encode(), password=None)
    return Signer(serial, cast(rsa.RSAPrivateKey, key))
