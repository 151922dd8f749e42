"""Where pictures were kept before they had sizes; the first migrations name it."""

from django.db import models

from miniback.core.models import random_id


def picture_path(instance: models.Model, filename: str) -> str:
    """A random name: unguessable, cacheable for ever, and never the uploader's."""
    name = random_id()
    return f"catalog/{name[:2].lower()}/{name}.{filename.rpartition('.')[2].lower()[:5]}"
