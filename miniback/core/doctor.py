"""What is wrong with the credentials of the platforms, and what to do about it, in plain words.

Findings name a setting; nothing here prints a secret. `examine` looks at what is configured,
`ask` lets the platforms say whether they take it.
"""

import base64
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from django.conf import settings

from miniback.core import providers
from miniback.core.checks import SANDBOX, is_loopback
from miniback.core.payment_accounts import KINDS
from miniback.platforms import http
from miniback.platforms.errors import LoginAgain, NoSuchTrade, PlatformError

PRIVATE = re.compile(r"(10|192\.168|172\.(1[6-9]|2\d|3[01]))\.")
SOON = timedelta(days=30)
NOBODY = "DOCTOR0000000000"


class Finding(NamedTuple):
    setting: str
    problem: str
    remedy: str


Findings = Iterator[Finding]


def examine() -> Findings:
    """Everything that can be seen without asking anybody."""
    yield from _public_url()
    if settings.WECHAT_APP_ID:
        yield from _wechat()
    if settings.WECHATPAY_MCH_ID:
        yield from _wechatpay()
    if settings.ALIPAY_APP_ID:
        yield from _alipay()
    if settings.DOUYIN_APP_ID:
        yield from _douyin()
    yield from _former_accounts()
    if not any(map(providers.is_offered, ("wechat", "alipay", "douyin"))):
        yield Finding(
            "WECHAT_APP_ID", "no platform is set up", "Set at least one app id; see .env.example."
        )


def _matches(name: str, pattern: str, what: str, where: str) -> Findings:
    if not re.fullmatch(pattern, getattr(settings, name)):
        yield Finding(name, f"is not {what}", f"Copy it from {where}.")


def _is_sandbox(app_id: str) -> bool:
    return SANDBOX in app_id


# The shop's own address


def _public_url() -> Findings:
    parts = urlsplit(settings.PUBLIC_URL)
    host, name = parts.hostname or "", "PUBLIC_URL"
    if parts.query or parts.fragment or parts.path.strip("/"):
        yield Finding(name, "has a path or a query", "Write scheme and host only.")
    app_ids = (settings.WECHAT_APP_ID, settings.ALIPAY_APP_ID, settings.DOUYIN_APP_ID)
    if all(_is_sandbox(app_id) for app_id in app_ids if app_id):
        return
    if is_loopback(settings.PUBLIC_URL) or PRIVATE.match(host):
        remedy = "Set the public https address; notices are sent there."
        yield Finding(name, "is an address that no platform can reach", remedy)
    elif parts.scheme != "https":
        yield Finding(name, "is not https", "Platforms and mini programs take https only.")


# WeChat


def _wechat() -> Findings:
    console = "开发管理 > 开发设置"
    if not _is_sandbox(settings.WECHAT_APP_ID):
        yield from _matches("WECHAT_APP_ID", r"wx[0-9a-f]{16}", "wx and 16 hex digits", console)
    yield from _matches("WECHAT_APP_SECRET", r"[0-9a-f]{32}", "32 hex digits", console)
    token, key = settings.WECHAT_PUSH_TOKEN, settings.WECHAT_PUSH_AES_KEY
    if key and not re.fullmatch(r"[0-9A-Za-z+/]{43}", key):
        yield Finding(
            "WECHAT_PUSH_AES_KEY", "is not 43 letters and digits", "Copy it from 消息推送."
        )
    if bool(token) != bool(key):
        missing = "WECHAT_PUSH_AES_KEY" if token else "WECHAT_PUSH_TOKEN"
        remedy = "Message push in secure mode needs both."
        yield Finding(missing, "is not set, and its companion is", remedy)


def _wechatpay() -> Findings:
    console = "账户中心 > API安全"
    if not settings.WECHAT_APP_ID:
        yield Finding("WECHAT_APP_ID", "is not set", "WeChat Pay pays for a mini program.")
    yield from _matches("WECHATPAY_MCH_ID", r"[0-9]{8,10}", "8 to 10 digits", "账户中心 > 商户信息")
    if len(settings.WECHATPAY_API_V3_KEY.encode()) != 32:
        remedy = "Use the API v3 key of 32 characters, not the older API key."
        yield Finding("WECHATPAY_API_V3_KEY", "is not 32 bytes long", remedy)
    yield from _matches(
        "WECHATPAY_SERIAL", r"[0-9A-F]{40}", "40 hex digits in capitals", f"{console} > 商户API证书"
    )
    private = yield from _private_key("WECHATPAY_PRIVATE_KEY_FILE", "apiclient_key.pem")
    if private is not None:
        yield from _merchant_certificate(private)
    if not settings.WECHATPAY_PUBLIC_KEY_ID:
        if not settings.WECHATPAY_CERTIFICATES:
            remedy = "Set the public key's id and file, or WECHATPAY_CERTIFICATES=1."
            yield Finding("WECHATPAY_PUBLIC_KEY_ID", "is not set, nor are certificates", remedy)
        return
    yield from _matches(
        "WECHATPAY_PUBLIC_KEY_ID", r"PUB_KEY_ID_[0-9A-Z]+", "PUB_KEY_ID_ and a number", console
    )
    yield from _public_key("WECHATPAY_PUBLIC_KEY_FILE", private, "WeChat Pay's", "pub_key.pem")


def _merchant_certificate(private: RSAPrivateKey) -> Findings:
    """It lies beside the key in the folder that WeChat Pay's tool makes."""
    file = Path(settings.WECHATPAY_PRIVATE_KEY_FILE).parent / "apiclient_cert.pem"
    if not file.exists():
        return
    try:
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
    except (OSError, ValueError):
        return
    if certificate.public_key() != private.public_key():
        remedy = "Use the key that was made with the certificate."
        yield Finding("WECHATPAY_PRIVATE_KEY_FILE", f"does not belong to {file.name}", remedy)
    elif f"{certificate.serial_number:040X}" != settings.WECHATPAY_SERIAL:
        remedy = f"It should be the serial number of {file.name}."
        yield Finding("WECHATPAY_SERIAL", "is another certificate's", remedy)
    yield from _expiry("WECHATPAY_SERIAL", certificate)


# Alipay and Douyin


def _alipay() -> Findings:
    console = "开放平台 > 小程序 > 开发设置"
    if not _is_sandbox(settings.ALIPAY_APP_ID):
        yield from _matches(
            "ALIPAY_APP_ID", r"20[0-9]{14}", "16 digits that begin with 20", console
        )
    yield from _matches(
        "ALIPAY_SELLER_ID", r"2088[0-9]{12}", "16 digits that begin with 2088", "账户中心 (PID)"
    )
    private = yield from _private_key("ALIPAY_PRIVATE_KEY_FILE", "应用私钥")
    if settings.ALIPAY_APP_CERT_FILE or settings.ALIPAY_ROOT_CERT_FILE:
        yield from _alipay_certificates(private)
    else:
        yield from _public_key("ALIPAY_PUBLIC_KEY_FILE", private, "Alipay's", "支付宝公钥")
    if settings.ALIPAY_AES_KEY:
        try:
            is_good = len(base64.b64decode(settings.ALIPAY_AES_KEY, validate=True)) == 16
        except ValueError:
            is_good = False
        if not is_good:
            remedy = "Copy it from 接口内容加密方式."
            yield Finding("ALIPAY_AES_KEY", "is not the base64 of 16 bytes", remedy)


def _alipay_certificates(private: RSAPrivateKey | None) -> Findings:
    own = yield from _certificate("ALIPAY_APP_CERT_FILE")
    theirs = yield from _certificate("ALIPAY_PUBLIC_KEY_FILE")
    yield from _certificate("ALIPAY_ROOT_CERT_FILE")
    if own is not None:
        yield from _expiry("ALIPAY_APP_CERT_FILE", own)
    if theirs is not None:
        yield from _expiry("ALIPAY_PUBLIC_KEY_FILE", theirs)
    if own is not None and private is not None and own.public_key() != private.public_key():
        problem = "does not belong to ALIPAY_PRIVATE_KEY_FILE"
        remedy = "Use the certificate that was made for this key."
        yield Finding("ALIPAY_APP_CERT_FILE", problem, remedy)


def _douyin() -> Findings:
    console = "开放平台 > 小程序 > 开发设置"
    if not _is_sandbox(settings.DOUYIN_APP_ID):
        yield from _matches("DOUYIN_APP_ID", r"tt[0-9a-f]{16,18}", "tt and hex digits", console)
    yield from _matches("DOUYIN_APP_SECRET", r"[0-9a-f]{40}", "40 hex digits", console)


def _former_accounts() -> Findings:
    try:
        for channel in KINDS:
            providers.former_payment_providers(channel)
    except PlatformError as error:
        yield Finding("FORMER_ACCOUNTS_FILE", str(error), "See docs/platforms.md.")


# Key files


def _read(name: str) -> Generator[Finding, None, bytes | None]:
    """Yields what is wrong; returns the bytes or None."""
    path = getattr(settings, name)
    if not path:
        yield Finding(name, "is not set", "Name the PEM file.")
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        yield Finding(name, f"cannot be read: {error.strerror}", "Check the path and its rights.")
        return None


def _private_key(name: str, which: str) -> Generator[Finding, None, RSAPrivateKey | None]:
    pem = yield from _read(name)
    if pem is None:
        return None
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        kind = "a certificate" if b"CERTIFICATE" in pem else "a public key"
        is_other = b"CERTIFICATE" in pem or b"PUBLIC KEY" in pem
        problem = f"holds {kind}" if is_other else "holds no private key in PEM without a password"
        yield Finding(name, problem, f"Use {which}, with its BEGIN and END lines.")
        return None
    if not isinstance(key, RSAPrivateKey) or key.key_size < 2048:
        yield Finding(name, "is not an RSA key of 2048 bits or more", f"Use {which}.")
        return None
    if Path(getattr(settings, name)).stat().st_mode & 0o004:
        yield Finding(name, "can be read by everybody on this machine", "Run chmod 600 on it.")
    return key


def _public_key(name: str, private: RSAPrivateKey | None, whose: str, which: str) -> Findings:
    pem = yield from _read(name)
    if pem is None:
        return
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, TypeError):
        holds = "a certificate" if b"CERTIFICATE" in pem else "no public key in PEM"
        yield Finding(name, f"holds {holds}", f"Use {which}, with its BEGIN and END lines.")
        return
    if not isinstance(key, RSAPublicKey):
        yield Finding(name, "is not an RSA key", f"Use {which}.")
    elif private is not None and key == private.public_key():
        yield Finding(name, "is your own public key", f"Use {whose}, from the console: {which}.")


def _certificate(name: str) -> Generator[Finding, None, x509.Certificate | None]:
    pem = yield from _read(name)
    if pem is None:
        return None
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        yield Finding(name, "holds no certificate in PEM", "Download it again from the console.")
        return None


def _expiry(name: str, certificate: x509.Certificate) -> Findings:
    left = certificate.not_valid_after_utc - datetime.now(UTC)
    if left < timedelta(0):
        yield Finding(name, "has expired", "Renew the certificate in the console.")
    elif left < SOON:
        yield Finding(name, f"expires in {left.days} days", "Renew it in the console.")


# Asking


def ask() -> Findings:
    """Whether the platforms take the credentials, and whether the shop can be reached."""
    asked: list[tuple[bool, str, Callable[[], Any]]] = [
        (bool(settings.WECHAT_APP_ID), "WECHAT_APP_SECRET", lambda: providers.wechat().access_token()),
        (bool(settings.WECHATPAY_MCH_ID), "WECHATPAY_SERIAL", lambda: providers.wechatpay().query(NOBODY)),
        (bool(settings.ALIPAY_APP_ID), "ALIPAY_PRIVATE_KEY_FILE", lambda: providers.alipay().query(NOBODY)),
        (bool(settings.DOUYIN_APP_ID), "DOUYIN_APP_SECRET", lambda: providers.douyin().log_in(NOBODY)),
    ]  # fmt: skip
    for is_set, name, act in asked:
        if is_set:
            yield from _asked(name, act)
    yield from _asked("FORMER_ACCOUNTS_FILE", _ask_former_accounts)
    callbacks = {"WECHATPAY_MCH_ID": "wechatpay", "ALIPAY_APP_ID": "alipay"}
    for name, callback in callbacks.items():
        if getattr(settings, name):
            yield from _reached(f"{settings.PUBLIC_URL}/api/v1/callbacks/{callback}/")


def _ask_former_accounts() -> None:
    for channel in KINDS:
        for client in providers.former_payment_providers(channel):
            with suppress(NoSuchTrade):
                client.query(NOBODY)


def _asked(name: str, act: Callable[[], Any]) -> Findings:
    try:
        act()
    except (NoSuchTrade, LoginAgain):
        # Of what nobody made: everything before that was right.
        return
    except PlatformError as error:
        remedy = REMEDIES.get(error.code, "Look the code up in the platform's documents.")
        yield Finding(name, f"the platform answers {error}", remedy)


REMEDIES = {
    "40013": "WECHAT_APP_ID is another app's.",
    "40125": "Reset the secret in the console, and copy the new one.",
    "40164": "Add this server's address to the IP whitelist.",
    "SIGNERROR": "Serial, private key and merchant must belong together, and the clock be right.",
    "isv.invalid-app-id": "ALIPAY_APP_ID is not known to Alipay.",
    "isv.invalid-signature": "Upload the public key of this private key in the console.",
    "40015": "DOUYIN_APP_ID is another app's.",
    "40017": "DOUYIN_APP_SECRET is another app's.",
    "NO_ANSWER": "The platform could not be reached from here: name resolution, firewall, proxy?",
    "HOST_DOWN": "It did not answer twice; ask again in half a minute.",
    "BAD_KEY": "A key file is not what it should be; see above.",
    "NO_KEY_FILE": "A key file is not there; see above.",
}


def _reached(url: str) -> Findings:
    """A notice without a signature is refused with 400 or 401: then the shop answers there."""
    try:
        answer = http.call("POST", url, service="shop", body=b"{}")
    except PlatformError as error:
        yield Finding(
            "PUBLIC_URL", f"{url} does not answer: {error}", "Is the shop up, the name known?"
        )
        return
    if answer.status not in {400, 401}:
        problem = f"{url} answers {answer.status}"
        yield Finding("PUBLIC_URL", problem, "The proxy must pass this path on, without redirects.")
