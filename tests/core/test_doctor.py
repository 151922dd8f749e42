"""The doctor: nothing to say of the sandbox, and the right word for each thing that is broken."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from django.core.management import call_command

from miniback.core.doctor import ask, examine
from tests.sandbox_process import SandboxProcess

KEYS = {
    name: rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for name in ("own", "other")
}
PEM, PKCS8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
PLAIN = serialization.NoEncryption()
SPKI = serialization.PublicFormat.SubjectPublicKeyInfo


def certificate(key: rsa.RSAPrivateKey, *, days: int = 900, serial: int = 7) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    begin = datetime.now(UTC) - timedelta(days=1000)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(serial).not_valid_before(begin)
        .not_valid_after(datetime.now(UTC) + timedelta(days=days)).sign(key, hashes.SHA256())
    )  # fmt: skip
    return made.public_bytes(PEM)


@pytest.fixture
def real(settings: Any, tmp_path: Path) -> Any:
    """A shop whose credentials look like the platforms' own."""

    def write(name: str, content: bytes) -> str:
        file = tmp_path / name
        file.write_bytes(content)
        file.chmod(0o600)
        return str(file)

    own, other = KEYS["own"], KEYS["other"]
    private = own.private_bytes(PEM, PKCS8, PLAIN)
    theirs = other.public_key().public_bytes(PEM, SPKI)
    values = {
        "PUBLIC_URL": "https://shop.example",
        "WECHAT_APP_ID": "wx0123456789abcdef",
        "WECHAT_APP_SECRET": "0" * 32,
        "WECHAT_PUSH_TOKEN": "token",
        "WECHAT_PUSH_AES_KEY": "a" * 43,
        "WECHATPAY_MCH_ID": "1900000109",
        "WECHATPAY_API_V3_KEY": "k" * 32,
        "WECHATPAY_SERIAL": f"{7:040X}",
        "WECHATPAY_PRIVATE_KEY_FILE": write("apiclient_key.pem", private),
        "WECHATPAY_PUBLIC_KEY_ID": "PUB_KEY_ID_0119000001092026112300000000000000",
        "WECHATPAY_PUBLIC_KEY_FILE": write("pub_key.pem", theirs),
        "ALIPAY_APP_ID": "2021000123456789",
        "ALIPAY_SELLER_ID": "2088000123456789",
        "ALIPAY_PRIVATE_KEY_FILE": write("alipay_key.pem", private),
        "ALIPAY_PUBLIC_KEY_FILE": write("alipay_pub.pem", theirs),
        "ALIPAY_AES_KEY": "AAAAAAAAAAAAAAAAAAAAAA==",
        "DOUYIN_APP_ID": "tt0123456789abcdef01",
        "DOUYIN_APP_SECRET": "0" * 40,
    }
    for name, value in values.items():
        setattr(settings, name, value)
    settings.WRITE = write
    return settings


def found() -> set[tuple[str, str]]:
    return {(finding.setting, finding.problem) for finding in examine()}


@pytest.mark.django_db
def test_nothing_to_say(real: Any, capsys: Any) -> None:
    assert found() == set()
    call_command("doctor")
    assert "Nothing to mend" in capsys.readouterr().out


def test_the_sandbox_is_well(sandbox: SandboxProcess, settings: Any) -> None:
    settings.PUBLIC_URL = "http://127.0.0.1:8000"
    assert found() == set()


VALUES: list[tuple[str, str, str]] = [
    ("PUBLIC_URL", "http://shop.example", "is not https"),
    ("PUBLIC_URL", "https://127.0.0.1", "is an address that no platform can reach"),
    ("PUBLIC_URL", "https://192.168.1.4", "is an address that no platform can reach"),
    ("PUBLIC_URL", "https://shop.example/api?x=1", "has a path or a query"),
    ("WECHAT_APP_ID", "gh_0123456789ab", "is not wx and 16 hex digits"),
    ("WECHAT_APP_SECRET", "secret", "is not 32 hex digits"),
    ("WECHAT_PUSH_TOKEN", "", "is not set, and its companion is"),
    ("WECHAT_PUSH_AES_KEY", "short", "is not 43 letters and digits"),
    ("WECHATPAY_MCH_ID", "wx123", "is not 8 to 10 digits"),
    ("WECHATPAY_API_V3_KEY", "k" * 31, "is not 32 bytes long"),
    ("WECHATPAY_SERIAL", "abc", "is not 40 hex digits in capitals"),
    ("WECHATPAY_PRIVATE_KEY_FILE", "", "is not set"),
    ("WECHATPAY_PRIVATE_KEY_FILE", "/nowhere/key.pem", "cannot be read: No such file or directory"),
    ("WECHATPAY_PUBLIC_KEY_ID", "0119000001", "is not PUB_KEY_ID_ and a number"),
    ("WECHATPAY_PUBLIC_KEY_ID", "", "is not set, nor are certificates"),
    ("ALIPAY_APP_ID", "wx0123456789abcdef", "is not 16 digits that begin with 20"),
    ("ALIPAY_SELLER_ID", "someone@shop.example", "is not 16 digits that begin with 2088"),
    ("ALIPAY_AES_KEY", "AAAA", "is not the base64 of 16 bytes"),
    ("DOUYIN_APP_ID", "dy1", "is not tt and hex digits"),
    ("DOUYIN_APP_SECRET", "x", "is not 40 hex digits"),
]


@pytest.mark.parametrize(("name", "value", "problem"), VALUES)
def test_a_value_that_is_none(real: Any, name: str, value: str, problem: str) -> None:
    real.WECHATPAY_CERTIFICATES = False
    setattr(real, name, value)
    assert found() == {(name, problem)}


def private(key: Any = KEYS["own"]) -> bytes:
    return key.private_bytes(PEM, PKCS8, PLAIN)


def public(name: str) -> bytes:
    return KEYS[name].public_key().public_bytes(PEM, SPKI)


OWN_SECRET = serialization.BestAvailableEncryption(b"password")
FILES: list[tuple[str, Callable[[], bytes], str]] = [
    ("WECHATPAY_PRIVATE_KEY_FILE", lambda: certificate(KEYS["own"]), "holds a certificate"),
    ("WECHATPAY_PRIVATE_KEY_FILE", lambda: public("own"), "holds a public key"),
    ("WECHATPAY_PRIVATE_KEY_FILE", lambda: b"MIIE" * 40,
     "holds no private key in PEM without a password"),
    ("WECHATPAY_PRIVATE_KEY_FILE", lambda: KEYS["own"].private_bytes(PEM, PKCS8, OWN_SECRET),
     "holds no private key in PEM without a password"),
    ("WECHATPAY_PRIVATE_KEY_FILE", lambda: private(ec.generate_private_key(ec.SECP256R1())),
     "is not an RSA key of 2048 bits or more"),
    ("WECHATPAY_PUBLIC_KEY_FILE", lambda: public("own"), "is your own public key"),
    ("WECHATPAY_PUBLIC_KEY_FILE", lambda: certificate(KEYS["other"]), "holds a certificate"),
    ("ALIPAY_PRIVATE_KEY_FILE", lambda: public("own"), "holds a public key"),
    ("ALIPAY_PUBLIC_KEY_FILE", lambda: public("own"), "is your own public key"),
    ("ALIPAY_PUBLIC_KEY_FILE", lambda: b"MIIB", "holds no public key in PEM"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "problem"), FILES)
def test_a_file_that_is_something_else(
    real: Any, name: str, content: Callable[[], bytes], problem: str
) -> None:
    setattr(real, name, real.WRITE("broken.pem", content()))
    assert found() == {(name, problem)}


def test_a_key_everybody_can_read(real: Any) -> None:
    Path(real.WECHATPAY_PRIVATE_KEY_FILE).chmod(0o644)
    assert found() == {("WECHATPAY_PRIVATE_KEY_FILE", "can be read by everybody on this machine")}


@pytest.mark.parametrize(
    ("made", "name", "problem"),
    [
        (
            {"key": KEYS["other"]},
            "WECHATPAY_PRIVATE_KEY_FILE",
            "does not belong to apiclient_cert.pem",
        ),
        ({"serial": 8}, "WECHATPAY_SERIAL", "is another certificate's"),
        ({"days": -1}, "WECHATPAY_SERIAL", "has expired"),
        ({"days": 10}, "WECHATPAY_SERIAL", "expires in 9 days"),
    ],
)
def test_the_merchants_certificate(real: Any, made: Any, name: str, problem: str) -> None:
    """It lies beside the key, as WeChat Pay's tool leaves it."""
    key = made.pop("key", KEYS["own"])
    real.WRITE("apiclient_cert.pem", certificate(key, **made))
    assert found() == {(name, problem)}


def test_alipay_in_certificate_mode(real: Any) -> None:
    real.ALIPAY_APP_CERT_FILE = real.WRITE("app.crt", certificate(KEYS["own"]))
    assert ("ALIPAY_ROOT_CERT_FILE", "is not set") in found()
    real.ALIPAY_ROOT_CERT_FILE = real.WRITE("root.crt", certificate(KEYS["other"]))
    assert found() == {("ALIPAY_PUBLIC_KEY_FILE", "holds no certificate in PEM")}
    real.ALIPAY_PUBLIC_KEY_FILE = real.WRITE("alipay.crt", certificate(KEYS["other"]))
    assert found() == set()
    real.ALIPAY_APP_CERT_FILE = real.WRITE("app.crt", certificate(KEYS["other"]))
    assert found() == {("ALIPAY_APP_CERT_FILE", "does not belong to ALIPAY_PRIVATE_KEY_FILE")}


@pytest.mark.django_db
def test_no_platform_at_all(real: Any, capsys: Any) -> None:
    real.WECHAT_APP_ID = real.ALIPAY_APP_ID = real.DOUYIN_APP_ID = real.WECHATPAY_MCH_ID = ""
    assert found() == {("WECHAT_APP_ID", "no platform is set up")}
    with pytest.raises(SystemExit):
        call_command("doctor")
    assert "no platform is set up" in capsys.readouterr().out


# Asking


@pytest.mark.django_db(transaction=True)
def test_platforms_that_take_it(shop: SandboxProcess) -> None:
    assert list(ask()) == []
    call_command("doctor", ask=True)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("name", "value", "setting", "word"),
    [
        ("WECHAT_APP_SECRET", "0" * 32, "WECHAT_APP_SECRET", "40125"),
        ("WECHAT_APP_ID", "wxsandbox00", "WECHAT_APP_SECRET", "40013"),
        ("WECHATPAY_SERIAL", "0" * 40, "WECHATPAY_SERIAL", "SIGNERROR"),
        ("WECHATPAY_MCH_ID", "1900000001", "WECHATPAY_SERIAL", "SIGNERROR"),
        ("ALIPAY_APP_ID", "2021sandbox00000", "ALIPAY_PRIVATE_KEY_FILE", "isv.invalid-app-id"),
        ("DOUYIN_APP_SECRET", "0" * 40, "DOUYIN_APP_SECRET", "40017"),
        ("WECHAT_BASE_URL", "http://127.0.0.1:9", "WECHAT_APP_SECRET", "NO_ANSWER"),
        ("PUBLIC_URL", "http://127.0.0.1:9", "PUBLIC_URL", "does not answer"),
    ],
)
def test_platforms_that_refuse_it(
    shop: SandboxProcess, settings: Any, name: str, value: str, setting: str, word: str
) -> None:
    setattr(settings, name, value)
    said = [(finding.setting, finding.problem) for finding in ask()]
    assert said
    assert all(one == setting and word in problem for one, problem in said)


@pytest.mark.django_db(transaction=True)
def test_another_merchants_key(shop: SandboxProcess, settings: Any, tmp_path: Path) -> None:
    for name in ("WECHATPAY_PRIVATE_KEY_FILE", "ALIPAY_PRIVATE_KEY_FILE"):
        file = tmp_path / "key.pem"
        file.write_bytes(private(KEYS["other"]))
        setattr(settings, name, str(file))
    words = [finding.problem for finding in ask()]
    assert ["SIGNERROR" in words[0], "isv.invalid-signature" in words[1]] == [True, True]


@pytest.mark.django_db(transaction=True)
def test_it_prints_no_secret(shop: SandboxProcess, settings: Any, capsys: Any) -> None:
    settings.WECHAT_APP_SECRET = "5" * 31
    with pytest.raises(SystemExit):
        call_command("doctor", ask=True)
    shown = capsys.readouterr().out
    assert "5" * 31 not in shown
    assert settings.WECHATPAY_API_V3_KEY not in shown
