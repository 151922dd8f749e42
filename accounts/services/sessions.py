"""Logging in, and the sessions of devices."""

import hashlib
import logging
import uuid
from datetime import datetime, timedelta
from typing import NamedTuple

from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext_lazy as _
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken, Token

from accounts.models import Platform, Session, User
from accounts.services.identities import exchange_code, find_or_make_identity
from miniback.core.errors import (
    Conflict,
    Forbidden,
    Unauthenticated,
)
from miniback.core.transactions import atomic
from miniback.platforms.contract import Login

logger = logging.getLogger(__name__)

# A client that sent its refresh twice at once is told so; later use of an old token is theft.
REUSE_GRACE = timedelta(seconds=60)


class UserBlocked(Forbidden):
    code = "user_blocked"
    detail = _("This account is blocked.")


class RefreshInvalid(Unauthenticated):
    code = "refresh_invalid"
    detail = _("The session has ended. Please log in again.")


class RefreshSuperseded(Conflict):
    code = "refresh_superseded"
    detail = _("A newer refresh token exists already. Use that one.")


class LoggedIn(NamedTuple):
    user: User
    access: str
    refresh: str
    is_new_user: bool


def log_in(*, platform: str, code: str, device: str = "") -> LoggedIn:
    """Exchange a platform's login code for a session; the first time, make the customer.

    Calls the platform. Raises UserBlocked, and what ``exchange_code`` raises.
    """
    app_id, login = exchange_code(platform, code)
    return start_session(platform=Platform(platform), app_id=app_id, login=login, device=device)


@atomic
def start_session(*, platform: Platform, app_id: str, login: Login, device: str) -> LoggedIn:
    """Find or make the customer behind ``login`` and give the device its tokens. Raises UserBlocked."""
    identity, is_new = find_or_make_identity(platform, app_id, login)
    if not identity.user.is_active:
        raise UserBlocked
    session = Session(
        user=identity.user, identity=identity, device=device[:200], created_at=timezone.now()
    )
    access, refresh = _tokens(session)
    session.refresh_hash = _hash(refresh)
    session.save(force_insert=True)
    return LoggedIn(identity.user, access, refresh, is_new)


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
