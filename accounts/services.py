"""Domain operations on people: logging in, sessions, profile, addresses."""

import hashlib
import logging
import uuid
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext_lazy as _
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken, Token

from accounts.models import Address, Identity, Platform, Session, User, phone_hashes
from miniback.core.errors import (
    Conflict,
    Forbidden,
    InvalidFields,
    NotFound,
    PlatformUnavailable,
    Unauthenticated,
)
from miniback.core.models import Upload, UploadPurpose
from miniback.core.providers import is_offered, login_provider
from miniback.core.transactions import assert_no_transaction, atomic
from miniback.platforms.contract import Login
from miniback.platforms.errors import CustomerBlocked, LoginAgain, PlatformError

logger = logging.getLogger(__name__)

# A client that sent its refresh twice at once is told so; later use of an old token is theft.
REUSE_GRACE = timedelta(seconds=60)
MAX_ADDRESSES = 50


class LoginCodeInvalid(Unauthenticated):
    code = "login_code_invalid"
    detail = _("The login code is not valid. Call wx.login again.")


class LoginBlocked(Forbidden):
    code = "login_blocked"
    detail = _("The platform has blocked this account for its risk.")


class UserBlocked(Forbidden):
    code = "user_blocked"
    detail = _("This account is blocked.")


class RefreshInvalid(Unauthenticated):
    code = "refresh_invalid"
    detail = _("The session has ended. Please log in again.")


class RefreshSuperseded(Conflict):
    code = "refresh_superseded"
    detail = _("A newer refresh token exists already. Use that one.")


class TooManyAddresses(Conflict):
    code = "too_many_addresses"
    detail = _("You have 50 addresses already. Delete one first.")


class LoggedIn(NamedTuple):
    user: User
    access: str
    refresh: str
    is_new_user: bool


def log_in(*, platform: str, code: str, device: str = "") -> LoggedIn:
    """Exchange a platform's login code for a session; the first time, make the customer.

    Calls the platform. Raises LoginCodeInvalid, LoginBlocked, UserBlocked, PlatformUnavailable, and
    InvalidFields for a platform that this shop is not on.
    """
    assert_no_transaction()
    if not is_offered(platform):
        raise InvalidFields(platform=_("This shop is not on that platform."))
    try:
        provider = login_provider(platform)
        login = provider.log_in(code)
    except LoginAgain as error:
        raise LoginCodeInvalid from error
    except CustomerBlocked as error:
        raise LoginBlocked from error
    except PlatformError as error:
        logger.error("login at %s failed: %s", platform, error)
        raise PlatformUnavailable(retry_after=2) from error
    return start_session(
        platform=Platform(platform), app_id=provider.app_id, login=login, device=device
    )


@atomic
def start_session(*, platform: Platform, app_id: str, login: Login, device: str) -> LoggedIn:
    """Find or make the customer behind ``login`` and give the device its tokens. Raises UserBlocked."""
    identity, is_new = _find_or_make_identity(platform, app_id, login)
    if not identity.user.is_active:
        raise UserBlocked
    session = Session(
        user=identity.user, identity=identity, device=device[:200], created_at=timezone.now()
    )
    access, refresh = _tokens(session)
    session.refresh_hash = _hash(refresh)
    session.save(force_insert=True)
    return LoggedIn(identity.user, access, refresh, is_new)


def _find_or_make_identity(platform: Platform, app_id: str, login: Login) -> tuple[Identity, bool]:
    key = {"platform": platform, "app_id": app_id, "openid": login.openid}
    known = Identity.objects.select_related("user")
    identity = known.filter(**key).first()
    if identity is None:
        try:
            with transaction.atomic():
                user = User(nickname="")
                user.set_unusable_password()
                user.save()
                return Identity.objects.create(user=user, unionid=login.unionid, **key), True
        except IntegrityError:
            # Another first login of the same person was faster.
            identity = known.get(**key)
    if login.unionid and identity.unionid != login.unionid:
        identity.unionid = login.unionid
        identity.save(update_fields=["unionid"])
    return identity, False


def refresh_session(refresh: str) -> tuple[str, str]:
    """Rotate: return a new access and a new refresh token; the old refresh token ends.

    Raises RefreshSuperseded for one that was rotated less than a minute ago (a parallel request
    won). An older one is a stolen one: RefreshInvalid, and the session ends for everybody.
    """
    try:
        session_id = read_session_id(RefreshToken, refresh)
    except TokenError as error:
        raise RefreshInvalid from error
    session = Session.objects.select_related("user").filter(pk=session_id).first()
    if session is None or session.revoked_at or not session.user.is_active:
        raise RefreshInvalid
    access, new_refresh = _tokens(session)
    now, old_hash = timezone.now(), _hash(refresh)
    rotated = Session.objects.filter(pk=session.pk, refresh_hash=old_hash, revoked_at=None).update(
        refresh_hash=_hash(new_refresh), previous_hash=old_hash, rotated_at=now
    )
    if rotated:
        return access, new_refresh
    _refuse_reuse(session, old_hash, now)
    raise RefreshSuperseded


def _refuse_reuse(session: Session, old_hash: str, now: datetime) -> None:
    session.refresh_from_db()
    is_previous = constant_time_compare(session.previous_hash, old_hash)
    if is_previous and session.rotated_at and now - session.rotated_at <= REUSE_GRACE:
        return
    end_session(session)
    logger.warning("session %s ended: an old refresh token was used again", session.pk)
    raise RefreshInvalid


def read_session_id(kind: type[Token], token: str) -> uuid.UUID:
    """Return the session that a token of this kind names. Raises TokenError for anything not ours."""
    try:
        return uuid.UUID(kind(token)["sid"])  # type: ignore[arg-type]
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise TokenError from error


def end_session(session: Session) -> None:
    """Log a device out, at once. Repeating it changes nothing."""
    Session.objects.filter(pk=session.pk, revoked_at=None).update(revoked_at=timezone.now())


def _tokens(session: Session) -> tuple[str, str]:
    def signed(token: Token) -> str:
        token["sid"] = str(session.pk)
        return str(token)

    return signed(AccessToken()), signed(RefreshToken())


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@atomic
def change_profile(user: User, *, nickname: str, avatar: str | None) -> User:
    """Set nickname and avatar (an upload of the user's own, or none). Raises NotFound."""
    if avatar is not None:
        own = Upload.objects.filter(pk=avatar, user=user, purpose=UploadPurpose.AVATAR)
        user.avatar = own.first()
        if user.avatar is None:
            raise NotFound(_("There is no such upload."))
    else:
        user.avatar = None
    user.nickname = nickname
    user.save(update_fields=["nickname", "avatar"])
    return user


@atomic
def save_address(user: User, address: Address | None = None, **values: Any) -> Address:
    """Make or change an address. One of a customer's addresses is the default: the first, or the last chosen.

    ``values`` are the columns of Address. Raises TooManyAddresses.
    """
    others = Address.objects.for_customer(user)
    if address is None:
        count = others.count()
        if count >= MAX_ADDRESSES:
            raise TooManyAddresses
        values["is_default"] = values["is_default"] or count == 0
        address = Address(user=user)
    if values["is_default"]:
        others.exclude(pk=address.pk).filter(is_default=True).update(is_default=False)
    for name, value in {**values, **phone_hashes(values["phone"])}.items():
        setattr(address, name, value)
    address.save()
    return address


@atomic
def delete_address(address: Address) -> None:
    """Orders keep their own copy. If it was the default, the newest that is left becomes it."""
    was_default, user = address.is_default, address.user
    address.delete()
    if was_default and (newest := Address.objects.for_customer(user).order_by("-id").first()):
        newest.is_default = True
        newest.save(update_fields=["is_default"])
