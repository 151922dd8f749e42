"""A customer's profile and addresses."""

from typing import Any

from django.utils.translation import gettext_lazy as _

from accounts.models import Address, User, phone_hashes
from miniback.core.errors import Conflict, NotFound
from miniback.core.models import Upload, UploadPurpose
from miniback.core.transactions import atomic

MAX_ADDRESSES = 50


class TooManyAddresses(Conflict):
    code = "too_many_addresses"
    detail = _("You have 50 addresses already. Delete one first.")


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
