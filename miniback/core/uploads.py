"""Pictures from customers: checked, decoded, encoded again, stored under a random name."""

import io
from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.uploadedfile import UploadedFile
from django.db import Error
from django.utils.translation import gettext_lazy as _

from miniback.core.errors import NotFound, PayloadTooLarge
from miniback.core.models import Upload
from miniback.core.parsers import MAX_UPLOAD_BYTES
from miniback.core.pictures import decode
from miniback.core.transactions import atomic, is_lost

# What is kept: enough for any screen, small enough to serve.
MAX_SIDE = 2048


Insert = Callable[[], Upload]


def store_upload(
    *,
    user: Any,
    purpose: str,
    file: UploadedFile,
    run: Callable[[Insert], Upload] = lambda insert: insert(),
) -> Upload:
    """Keep a picture. Raises PayloadTooLarge (over 10 MB) or NotAPicture.

    Encoding it again drops EXIF (with its GPS position) and whatever else hides in the file. ``run``
    carries out the insert of the row, or returns the row of a request that was carried out before.
    """
    if (file.size or 0) > MAX_UPLOAD_BYTES:
        raise PayloadTooLarge
    picture, kind = decode(file)
    picture.thumbnail((MAX_SIDE, MAX_SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, kind, quality=85)
    upload = Upload(user=user, purpose=purpose, width=picture.width, height=picture.height)
    upload.file.save(f"picture.{kind.lower()}", ContentFile(buffer.getvalue()), save=False)
    return _insert_or_delete_file(upload, run)


def _insert_or_delete_file(upload: Upload, run: Callable[[Insert], Upload]) -> Upload:
    """Leave no file behind that no row names."""
    try:
        kept = run(partial(_insert, upload))
    except Exception as error:
        # After a lost answer the row may be there: such a file is left to `sweep_media`.
        if not (isinstance(error, Error) and is_lost(error)):
            upload.file.delete(save=False)
        raise
    if kept.pk != upload.pk:
        upload.file.delete(save=False)
    return kept


@atomic
def _insert(upload: Upload) -> Upload:
    upload.save(force_insert=True)
    return upload


def upload_urls(ids: Iterable[str]) -> dict[str, str]:
    """URLs of the uploads that exist, by one query, or none."""
    wanted = set(ids)
    rows = Upload.objects.filter(pk__in=wanted) if wanted else []
    return {upload.pk: upload.url for upload in rows}


def refuse_foreign_uploads(ids: Collection[str], *, user_id: int, purpose: str) -> None:
    """Raises NotFound unless every id is an upload of this user for this purpose."""
    wanted = set(ids)
    own = Upload.objects.filter(pk__in=wanted, user=user_id, purpose=purpose)
    if wanted and own.count() != len(wanted):
        raise NotFound(_("There is no such upload."))
