"""The accounts at WeChat Pay and Alipay: the one in the settings, and those the shop had before.

Money stays with the account that it was paid to. So a shop that changes its merchant number or its
app keeps the old credentials in the TOML file that FORMER_ACCOUNTS_FILE names, one table for each
account ([[wechat]], [[alipay]]), until nothing of it can be refunded any more.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings

from miniback.platforms.errors import Misconfigured


@dataclass(frozen=True, slots=True)
class WeChatPayAccount:
    """An unset file is ``Path()``."""

    app_id: str
    mch_id: str
    api_v3_key: str
    serial: str
    private_key_file: Path
    public_key_id: str = ""
    public_key_file: Path = Path()

    @property
    def merchant_id(self) -> str:
        return self.mch_id


@dataclass(frozen=True, slots=True)
class AlipayAccount:
    """An unset file is ``Path()``."""

    app_id: str
    seller_id: str
    private_key_file: Path
    public_key_file: Path
    app_cert_file: Path = Path()
    root_cert_file: Path = Path()
    aes_key: str = ""

    @property
    def merchant_id(self) -> str:
        return self.seller_id


Account = WeChatPayAccount | AlipayAccount
KINDS: dict[str, type[Account]] = {"wechat": WeChatPayAccount, "alipay": AlipayAccount}


def current_account(channel: str) -> Account:
    """Return the account in the settings, which may be unset."""
    if channel == "alipay":
        return AlipayAccount(
            app_id=settings.ALIPAY_APP_ID,
            seller_id=settings.ALIPAY_SELLER_ID,
            private_key_file=Path(settings.ALIPAY_PRIVATE_KEY_FILE),
            public_key_file=Path(settings.ALIPAY_PUBLIC_KEY_FILE),
            app_cert_file=Path(settings.ALIPAY_APP_CERT_FILE),
            root_cert_file=Path(settings.ALIPAY_ROOT_CERT_FILE),
            aes_key=settings.ALIPAY_AES_KEY,
        )
    return WeChatPayAccount(
        app_id=settings.WECHAT_APP_ID,
        mch_id=settings.WECHATPAY_MCH_ID,
        api_v3_key=settings.WECHATPAY_API_V3_KEY,
        serial=settings.WECHATPAY_SERIAL,
        private_key_file=Path(settings.WECHATPAY_PRIVATE_KEY_FILE),
        public_key_id=settings.WECHATPAY_PUBLIC_KEY_ID,
        public_key_file=Path(settings.WECHATPAY_PUBLIC_KEY_FILE),
    )


def former_accounts(channel: str) -> list[Account]:
    """Return the accounts of the file. Raises Misconfigured for a file that is not as it should be."""
    if not settings.FORMER_ACCOUNTS_FILE:
        return []
    file = Path(settings.FORMER_ACCOUNTS_FILE)
    try:
        changed_at = file.stat().st_mtime_ns
    except OSError as error:
        raise _bad(str(error)) from error
    return [account for name, account in _read(file, changed_at) if name == channel]


def find_account(channel: str, *, app_id: str, merchant_id: str) -> Account:
    """Return the account of these ids; "" fits any. The current one comes first.

    WeChat Pay's keys are the merchant's, so they serve every app of that merchant; Alipay's are the
    app's. Raises Misconfigured (ACCOUNT_GONE).
    """
    current = current_account(channel)
    if _fits(current, app_id, merchant_id):
        return current
    former = former_accounts(channel)
    for account in former:
        if _fits(account, app_id, merchant_id):
            return account
    for account in [current, *former] if channel == "wechat" and merchant_id else []:
        if account.merchant_id == merchant_id:
            return replace(account, app_id=app_id)
    raise Misconfigured(
        "ACCOUNT_GONE",
        f"no credentials for merchant {merchant_id or '?'}, app {app_id or '?'} at {channel}:"
        " add that account to the file of FORMER_ACCOUNTS_FILE",
    )


def _fits(account: Account, app_id: str, merchant_id: str) -> bool:
    return app_id in {"", account.app_id} and merchant_id in {"", account.merchant_id}


@lru_cache(maxsize=8)
def _read(file: Path, changed_at: int) -> list[tuple[str, Account]]:
    try:
        content = tomllib.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise _bad(str(error)) from error
    if unknown := content.keys() - KINDS.keys():
        raise _bad(f"[[{min(unknown)}]] is unknown; write [[wechat]] or [[alipay]]")
    found = []
    for channel, tables in content.items():
        if not isinstance(tables, list):
            raise _bad(f"write [[{channel}]] with two brackets")
        found += [(channel, _account(channel, table, file.parent)) for table in tables]
    ids = [(channel, one.app_id, one.merchant_id) for channel, one in found]
    for doubled in ids:
        if ids.count(doubled) > 1:
            raise _bad(f"{' '.join(doubled)} stands there twice")
    return found


def _account(channel: str, table: Any, directory: Path) -> Account:
    """Files are relative to the file that names them."""
    kind = KINDS[channel]
    if not isinstance(table, Mapping):
        raise _bad(f"[[{channel}]] is no table")
    names = {field.name: field.type for field in fields(kind)}
    for name, value in table.items():
        if name not in names:
            raise _bad(f"[[{channel}]] has an unknown name: {name}")
        if not isinstance(value, str) or not value:
            raise _bad(f"[[{channel}]] {name} is no text")
    values = {
        name: directory / value if names[name] is Path else value for name, value in table.items()
    }
    try:
        return kind(**values)
    except TypeError as error:
        raise _bad(f"[[{channel}]] is incomplete: {error}") from error


def _bad(message: str) -> Misconfigured:
    return Misconfigured("BAD_FORMER_ACCOUNTS", message)
