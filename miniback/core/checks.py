"""Checks of the settings: `manage.py check --deploy`, and before every command."""

import ipaddress
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import Error, Tags, register

# Credentials that the sandbox makes begin so; no real app id does.
SANDBOX_APP_ID = "wxsandbox"


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
    addresses = [settings.WECHAT_BASE_URL, settings.WECHATPAY_BASE_URL]
    if not any(is_loopback(address) for address in addresses):
        return []
    app_id = settings.WECHAT_APP_ID
    if app_id and not app_id.startswith(SANDBOX_APP_ID):
        return [
            Error(
                "A platform URL is on this machine, but WECHAT_APP_ID is a real one.",
                hint="Unset WECHAT_BASE_URL and WECHATPAY_BASE_URL.",
                id="miniback.E002",
            )
        ]
    if not is_loopback(settings.PUBLIC_URL):
        return [
            Error(
                "A platform URL is on this machine, but PUBLIC_URL is public.",
                hint="Unset WECHAT_BASE_URL and WECHATPAY_BASE_URL.",
                id="miniback.E003",
            )
        ]
    return []


@register(Tags.database, deploy=True)
def check_connections(**kwargs: Any) -> list[Error]:
    """Each server thread may hold one connection; two are for the jobs and a person."""
    wanted = settings.WORKERS * settings.BLOCKING_THREADS + 2
    if wanted <= settings.DATABASE_MAX_CONNECTIONS:
        return []
    text = (
        f"The server may open {wanted} database connections, and DATABASE_MAX_CONNECTIONS is less."
    )
    return [Error(text, hint="Lower WORKERS or BLOCKING_THREADS.", id="miniback.E004")]
