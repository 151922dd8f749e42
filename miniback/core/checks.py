"""Checks of the settings: `manage.py check --deploy`, and before every command."""

import ipaddress
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import Error, Tags, register

from miniback.core.payment_accounts import KINDS
from miniback.core.providers import former_payment_providers
from miniback.platforms.errors import Misconfigured

# Every app id that the sandbox makes has this in it; no real one does.
SANDBOX = "sandbox"
# Threads of `run_jobs`: as many lanes as its table has (miniback/jobs.py).
JOB_LANES = 7
BASE_URLS = {
    "WECHAT": ("WECHAT_BASE_URL", "WECHATPAY_BASE_URL"),
    "ALIPAY": ("ALIPAY_BASE_URL",),
    "DOUYIN": ("DOUYIN_BASE_URL",),
}


def is_loopback(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@register(Tags.security)
def check_encryption_keys(**kwargs: Any) -> list[Error]:
    """Refuse keys with which no personal data could be read or written."""
    try:
        for key in settings.FIELD_ENCRYPTION_KEYS:
            Fernet(key)
    except ValueError:
        hint = "Make one with: openssl rand -base64 32 | tr +/ -_"
        return [Error("FIELD_ENCRYPTION_KEYS has a bad key.", hint=hint, id="miniback.E001")]
    return []


@register(Tags.security)
def check_platform_addresses(**kwargs: Any) -> list[Error]:
    """Refuse a sandbox where real money could be meant: it would accept any payment."""
    found = []
    for platform, names in BASE_URLS.items():
        if not any(is_loopback(getattr(settings, name)) for name in names):
            continue
        hint = f"Unset {' and '.join(names)}."
        app_id = getattr(settings, f"{platform}_APP_ID")
        if app_id and SANDBOX not in app_id:
            text = f"A platform URL is on this machine, but {platform}_APP_ID is a real one."
            found.append(Error(text, hint=hint, id="miniback.E002"))
        elif not is_loopback(settings.PUBLIC_URL):
            text = "A platform URL is on this machine, but PUBLIC_URL is public."
            found.append(Error(text, hint=hint, id="miniback.E003"))
    return found


@register(Tags.security)
def check_former_accounts(**kwargs: Any) -> list[Error]:
    """Refuse former accounts that could not be served: their refunds would fail one by one."""
    try:
        for channel in KINDS:
            former_payment_providers(channel)
    except Misconfigured as error:
        hint = "See docs/platforms.md, Changing the merchant or the app."
        return [Error(f"FORMER_ACCOUNTS_FILE: {error}", hint=hint, id="miniback.E005")]
    return []


@register(Tags.database, deploy=True)
def check_connections(**kwargs: Any) -> list[Error]:
    """Each server thread and each lane of the jobs may hold one connection; one is for a person."""
    wanted = settings.WORKERS * settings.BLOCKING_THREADS + JOB_LANES + 1
    if wanted <= settings.DATABASE_MAX_CONNECTIONS:
        return []
    text = (
        f"The server may open {wanted} database connections, and DATABASE_MAX_CONNECTIONS is less."
    )
    return [Error(text, hint="Lower WORKERS or BLOCKING_THREADS.", id="miniback.E004")]
