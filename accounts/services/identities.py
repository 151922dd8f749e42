"""Who somebody is at the platforms: codes exchanged, identities joined, phones bound."""

import logging

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from accounts.models import Identity, Platform, User, phone_hashes
from miniback.core import providers
from miniback.core.errors import (
    Conflict,
    Forbidden,
    InvalidFields,
    PlatformUnavailable,
    Refused,
    Unauthenticated,
)
from miniback.core.transactions import assert_no_transaction, atomic
from miniback.platforms.contract import Login
from miniback.platforms.errors import CustomerBlocked, LoginAgain, PlatformError, TryAgain
from miniback.platforms.wechat import read_phone
from miniback.platforms.wechat_crypto import decrypt_user_data

logger = logging.getLogger(__name__)


class LoginCodeInvalid(Unauthenticated):
    code = "login_code_invalid"
    detail = _("The login code is not valid. Call wx.login again.")


class LoginBlocked(Forbidden):
    code = "login_blocked"
    detail = _("The platform has blocked this account for its risk.")


class IdentityTaken(Conflict):
    code = "identity_taken"
    detail = _("This account belongs to another customer of the shop.")


class PhoneCodeInvalid(Refused):
    code = "phone_code_invalid"
    detail = _("The phone number could not be read. Please ask for it again.")


def exchange_code(platform: str, code: str) -> tuple[str, Login]:
    """Ask a platform who a login code stands for: the app's id, and the login.

    Calls the platform. Raises LoginCodeInvalid, LoginBlocked, PlatformUnavailable, and InvalidFields
    for a platform that this shop is not on.
    """
    assert_no_transaction()
    if not providers.is_offered(platform):
        raise InvalidFields(platform=_("This shop is not on that platform."))
    try:
        provider = providers.login_provider(platform)
        return provider.app_id, provider.log_in(code)
    except LoginAgain as error:
        raise LoginCodeInvalid from error
    except CustomerBlocked as error:
        raise LoginBlocked from error
    except PlatformError as error:
        logger.error("login at %s failed: %s", platform, error)
        raise PlatformUnavailable(retry_after=2) from error


def find_or_make_identity(platform: Platform, app_id: str, login: Login) -> tuple[Identity, bool]:
    """The identity behind a login, and whether its customer is new.

    Somebody the platform calls by one unionid in two of our apps is one customer.
    """
    key = {"platform": platform, "app_id": app_id, "openid": login.openid}
    known = Identity.objects.select_related("user")
    identity, is_new = known.filter(**key).first(), False
    if identity is None:
        try:
            with transaction.atomic():
                user = _user_of_unionid(platform, login.unionid)
                is_new = user is None
                identity = _make_identity(user or _make_user(), login, key)
        except IntegrityError:
            # Another first login of the same person was faster.
            identity, is_new = known.get(**key), False
    _keep_up_to_date(identity, login)
    return identity, is_new


def _user_of_unionid(platform: Platform, unionid: str) -> User | None:
    if not unionid:
        return None
    other = Identity.objects.filter(platform=platform, unionid=unionid).select_related("user")
    identity = other.order_by("id").first()
    return identity.user if identity else None


def _make_user() -> User:
    user = User(nickname="")
    user.set_unusable_password()
    user.save()
    return user


def _make_identity(user: User, login: Login, key: dict[str, str]) -> Identity:
    return Identity.objects.create(
        user=user, unionid=login.unionid, session_key=login.session_key, **key
    )


def _keep_up_to_date(identity: Identity, login: Login) -> None:
    """A unionid may appear later; the newest session key is the only one that is good."""
    now = {"session_key": login.session_key, "unionid": login.unionid or identity.unionid}
    changed = [name for name, value in now.items() if getattr(identity, name) != value]
    for name in changed:
        setattr(identity, name, now[name])
    if changed:
        identity.save(update_fields=changed)


def link_identity(user: User, *, platform: str, code: str) -> Identity:
    """Let a customer log in by another platform too. Linking what is linked changes nothing.

    The code proves whose account it is. One that belongs to another customer is never taken over:
    his orders would be. Calls the platform. Raises IdentityTaken, and what ``exchange_code`` raises.
    """
    app_id, login = exchange_code(platform, code)
    key = {"platform": platform, "app_id": app_id, "openid": login.openid}
    return _link(user, login, key)


@atomic
def _link(user: User, login: Login, key: dict[str, str]) -> Identity:
    try:
        with transaction.atomic():
            return _make_identity(user, login, key)
    except IntegrityError:
        identity = Identity.objects.get(**key)
    if identity.user_id != user.pk:
        raise IdentityTaken
    _keep_up_to_date(identity, login)
    return identity


def bind_phone(user: User, identity: Identity, **proof: str) -> User:
    """Take over the phone number that the platform vouches for.

    ``proof`` is what the phone button gave: ``code``, or ``encrypted_data`` and ``iv`` (WeChat);
    ``response`` and ``sign`` (Alipay). May call the platform. Raises PhoneCodeInvalid,
    PlatformUnavailable.
    """
    assert_no_transaction()
    try:
        phone = _read_phone(identity, proof)
    except PlatformError as error:
        if isinstance(error, LoginAgain):
            raise PhoneCodeInvalid from error
        logger.error("phone at %s failed: %s", identity.platform, error)
        raise PlatformUnavailable(retry_after=2) from error
    user.phone = phone
    for name, value in phone_hashes(phone).items():
        setattr(user, name, value)
    user.save(update_fields=["phone", "phone_hash", "phone_tail_hash"])
    return user


def _read_phone(identity: Identity, proof: dict[str, str]) -> str:
    match identity.platform, proof:
        case Platform.WECHAT, {"code": code}:
            return providers.wechat().phone_number(code, openid=identity.openid)
        case Platform.WECHAT, {"encrypted_data": data, "iv": iv}:
            app_id = identity.app_id
            found = decrypt_user_data(data, iv, session_key=identity.session_key, app_id=app_id)
            try:
                return read_phone(found, app_id=app_id)
            except TryAgain as error:
                # The client sent something else that was sealed, such as a profile.
                raise PhoneCodeInvalid from error
        case Platform.ALIPAY, {"response": response, "sign": sign}:
            return providers.alipay().phone_number(response, sign)
    raise PhoneCodeInvalid(_("This session's platform gives its phone number another way."))


def checked_identity(user_id: int) -> Identity | None:
    """By whom WeChat is asked about what a customer publishes; None: it is published unchecked."""
    if not (settings.WECHAT_CONTENT_CHECK and settings.WECHAT_APP_ID):
        return None
    mine = Identity.objects.filter(user=user_id, platform=Platform.WECHAT)
    return mine.filter(app_id=settings.WECHAT_APP_ID).order_by("-id").first()
