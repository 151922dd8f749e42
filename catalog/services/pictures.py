"""Pictures of the catalogue: sizes for those stored before there were any."""

from collections.abc import Iterator

from django.apps import apps
from django.core.files.storage import default_storage
from django.db.models import Model

from miniback.core.pictures import NotAPicture, PictureField, has_sizes, store_picture


def picture_columns() -> Iterator[tuple[type[Model], str]]:
    """Every model that has pictures, with the column."""
    for model in apps.get_models():
        for field in model._meta.concrete_fields:
            if isinstance(field, PictureField):
                yield model, field.attname


def derive_sizes() -> Iterator[tuple[str, str]]:
    """Store the sizes of each older picture and point its row there; yield (old name, new name).

    The new name is "" where the old file is missing or not a picture. The old file stays: orders
    show it. Running it again goes on with what is left.
    """
    for model, column in picture_columns():
        rows = model._default_manager.exclude(**{column: ""}).order_by("pk")
        for pk, old in rows.values_list("pk", column).iterator():
            if has_sizes(old):
                continue
            try:
                with default_storage.open(old) as file:
                    new = store_picture(file, default_storage)
            except (OSError, NotAPicture):
                yield old, ""
                continue
            # Staff may have replaced it meanwhile.
            model._default_manager.filter(pk=pk, **{column: old}).update(**{column: new})
            yield old, new
