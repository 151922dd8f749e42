"""A customer's profile and addresses."""

import logging
import secrets
from typing import Any

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from accounts.models import Address, Identity, Platform, User, phone_hashes
from accounts.services.identities import checked_identity
from miniback.core import outbox, providers
from miniback.core.errors import Conflict, NotFound, PlatformUnavailable, Refused
from miniback.core.models import Lane, Upload, UploadPurpose
from miniback.core.transactions import assert_no_transaction, atomic
from miniback.platforms.errors import PlatformError

logger = logging.getLogger(__name__)

MAX_ADDRESSES = 50
# The scene of a content check: what stands in a profile.
PROFILE = 1
# Of an outbox message: {"user": id, "avatar": upload id} wants to be looked at.
CHECK_AVATAR = "avatar.check"


class TooManyAddresses(Conflict):
    code = "too_many_addresses"
    detail = _("You have 50 addresses already. Delete one first.")


class ContentRefused(Refused):
    code = "content_refused"
    detail = _("This text cannot be published. Please write something else.")


def check_nickname(user: User, identity: Identity, nickname: str) -> None:
    """Ask WeChat about a new nickname: it stands beside reviews. Raises ContentRefused, PlatformUnavailable.

    What the platform doubts is refused as well: another nickname is soon found.
    """
    is_wechat = identity.platform == Platform.WECHAT and bool(settings.WECHAT_APP_ID)
    if not nickname or nickname == user.nickname or not is_wechat:
        return
    if not settings.WECHAT_CONTENT_CHECK:
        return
    assert_no_transaction()
    try:
        verdict = providers.wechat().check_text(nickname, openid=identity.openid, scene=PROFILE)
    except PlatformError as error:
        logger.error("a nickname could not be checked: %s", error)
        raise PlatformUnavailable(retry_after=2) from error
    if verdict.suggest != "pass":
        raise ContentRefused


@atomic
def change_profile(user: User, *, nickname: str, avatar: str | None) -> User:
    """Set nickname and avatar (an upload of the user's own, or none). Raises NotFound.

    Others see a new avatar when the platform has passed it.
    """
    changed = ["nickname", "avatar"]
    if avatar is not None and avatar != user.avatar_id:
        # Of the same avatar a verdict may arrive at this moment.
        changed.append("is_avatar_shown")
        user.is_avatar_shown = checked_identity(user.pk) is None
        if not user.is_avatar_shown:
            outbox.post(
                topic=CHECK_AVATAR,
                event_key=f"{CHECK_AVATAR}:{user.pk}:{secrets.token_hex(8)}",
                payload={"user": user.pk, "avatar": avatar},
                lane=Lane.WECHAT,
            )
    if avatar is not None:
        own = Upload.objects.filter(pk=avatar, user=user, purpose=UploadPurpose.AVATAR)
        user.avatar = own.first()
        if user.avatar is None:
            raise NotFound(_("There is no such upload."))
    else:
        user.avatar = None
    user.nickname = nickname
    user.save(update_fields=changed)
    return user


@atomic
def save_address(user: User, address: Address | None = None, **values: Any) -> Address:
    """Make or change an address. One of a customer's addresses is the default: the first, or the last chosen.

    ``values`` are the columns of Address. Raises TooManyAddresses, NotFound (it was deleted meanwhile).
    """
    others = Address.objects.for_customer(user)
    is_new = address is None
    if address is None:
        count = others.count()
        if count >= MAX_ADDRESSES:
            raise TooManyAddresses
        values["is_default"] = values["is_default"] or count == 0
        address = Address(user=user)
    if values["is_default"]:
        others.exclude(pk=address.pk).filter(is_default=True).update(is_default=False)
    columns = {**values, **phone_hashes(values["phone"])}
    for name, value in columns.items():
        setattr(address, name, value)
    if is_new:
        address.save(force_insert=True)
    elif not others.filter(pk=address.pk).update(**columns):
        # A save would make it again.
        raise NotFound
    return address


@atomic
def delete_address(address: Address) -> None:
    """Orders keep their own copy. If it was the default, the newest that is left becomes it."""
    was_default, user = address.is_default, address.user
    address.delete()
    if was_default and (newest := Address.objects.for_customer(user).order_by("-id").first()):
        newest.is_default = True
        newest.save(update_fields=["is_default"])
