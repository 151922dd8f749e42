"""Alipay's certificate mode: a root, what it vouches for, and how a certificate is numbered (C1)."""

import datetime as dt
import hashlib
import secrets
from functools import lru_cache
from pathlib import Path
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from django.conf import settings

TEN_YEARS = dt.timedelta(days=3650)
ROOT, ALIPAY, APP = "alipay_root.crt", "alipay_cert.crt", "alipay_app_cert.crt"


def make(directory: Path) -> None:
    """Certificates for the two key pairs that are there already, unless they were made before."""
    if (directory / ROOT).exists():
        return
    root_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    root = _name("Sandbox Root of Alipay")
    _write(directory / ROOT, root, root, root_key.public_key(), root_key)
    for file, owner, whom in ((ALIPAY, "alipay", "Alipay"), (APP, "alipay_app", "The Shop's App")):
        pem = (directory / f"{owner}_public.pem").read_bytes()
        key = cast(rsa.RSAPublicKey, serialization.load_pem_public_key(pem))
        _write(directory / file, _name(whom), root, key, root_key)


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "miniback sandbox"),
            # Some clients number a certificate by these four parts and no others.
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Certification"),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _write(
    file: Path, subject: x509.Name, issuer: x509.Name, key: rsa.RSAPublicKey, by: rsa.RSAPrivateKey
) -> None:
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(int("7" + secrets.token_hex(15), 16))
        .not_valid_before(now - dt.timedelta(minutes=1))
        .not_valid_after(now + TEN_YEARS)
        .sign(by, hashes.SHA256())
    )
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))


@lru_cache(maxsize=4)
def number(file: str) -> str:
    """MD5 of the issuer, its last part first, and of the serial in decimal."""
    directory: Path = settings.SANDBOX_DIR
    certificate = x509.load_pem_x509_certificate((directory / file).read_bytes())
    parts = [f"{one.rfc4514_attribute_name}={one.value!s}" for one in certificate.issuer]
    text = ",".join(reversed(parts)) + str(certificate.serial_number)
    return hashlib.md5(text.encode()).hexdigest()  # noqa: S324
