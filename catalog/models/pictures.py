"""Where pictures are kept."""

from functools import lru_cache

from django.core.files.storage import default_storage
from django.db import models

from miniback.core.models import random_id


def picture_path(instance: models.Model, filename: str) -> str:
    """A random name: unguessable, cacheable for ever, and never the uploader's."""
    name = random_id()
    return f"catalog/{name[:2].lower()}/{name}.{filename.rpartition('.')[2].lower()[:5]}"


@lru_cache(maxsize=20_000)
def picture_url(name: str) -> str:
    """Absolute URL of a stored picture, or "" for none. A name's URL never changes."""
    return default_storage.url(name) if name else ""
