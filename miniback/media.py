"""What is stored, and what of it anything still uses."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from django.core.files.storage import Storage, default_storage

from accounts.models import User
from catalog.models import Review
from catalog.services.pictures import picture_columns
from miniback.core.models import Upload
from miniback.core.pictures import has_sizes
from orders.models import OrderLine, Refund

# What is in "shares" no row names: it is made again when it is asked for.
FOLDERS = ("pictures", "catalog", "uploads", "shares")


class Unused(NamedTuple):
    name: str
    size: int


def unused_files(before: datetime, storage: Storage = default_storage) -> Iterator[Unused]:
    """Files of ours stored before this moment that no row names: left by what was replaced or deleted.

    What is younger may belong to a form that is being saved.
    """
    used = used_names()
    for folder in FOLDERS:
        for name in _walk(storage, folder):
            kept = name.rpartition("/")[0] if has_sizes(name) else name
            if kept not in used and storage.get_modified_time(name) < before:
                yield Unused(name, storage.size(name))


def used_names() -> set[str]:
    """Names of files that rows point to; of a picture with sizes its folder. Orders keep old ones."""
    used: set[str] = set()
    for model, column in picture_columns():
        rows = model._default_manager.exclude(**{column: ""})
        used |= set(rows.values_list(column, flat=True).iterator())
    used |= set(OrderLine.objects.exclude(picture="").values_list("picture", flat=True).distinct())
    used = {name.rpartition("/")[0] if has_sizes(name) else name for name in used}
    return used | set(Upload.objects.values_list("file", flat=True).iterator())


def forget_unused_uploads(before: datetime) -> int:
    """Delete uploads older than this that nothing refers to; return how many. Their files are unused then."""
    used: set[str] = set(User.objects.exclude(avatar=None).values_list("avatar_id", flat=True))
    for rows in (
        Review.objects.values_list("images", "follow_up_images"),
        Refund.objects.values_list("images"),
    ):
        for lists in rows.iterator():
            used |= {name for names in lists for name in names}
    old = Upload.objects.filter(created_at__lt=before).values_list("pk", flat=True)
    unused = [pk for pk in old.iterator() if pk not in used]
    for first in range(0, len(unused), 500):
        Upload.objects.filter(pk__in=unused[first : first + 500]).delete()
    return len(unused)


def _walk(storage: Storage, folder: str) -> Iterator[str]:
    try:
        folders, files = storage.listdir(folder)
    except FileNotFoundError:
        return
    yield from (f"{folder}/{name}" for name in files)
    for name in folders:
        yield from _walk(storage, f"{folder}/{name}")
