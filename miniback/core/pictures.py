"""Pictures: checked, decoded, and encoded again in the sizes that a mini program shows.

A stored picture is a folder under ``pictures/`` with a random name: ``thumb``, ``card`` and
``full``, each as ``.jpg`` and ``.webp``. Names never come again, so all of it may be cached for ever.
"""

import io
import secrets
import warnings
from functools import lru_cache
from typing import IO, Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.files.storage import Storage, default_storage
from django.db import models
from django.db.models.fields.files import ImageFieldFile
from django.utils.translation import gettext_lazy as _
from PIL import Image, ImageOps

from miniback.core.errors import Refused

MAX_PIXELS = 40_000_000
# GIF and SVG are refused. A JPEG of several pictures calls itself MPO; the first one is kept.
OPENED = ["JPEG", "PNG", "WEBP"]
FORMATS = {"JPEG": "JPEG", "MPO": "JPEG", "PNG": "PNG", "WEBP": "WEBP"}
# Longest side in pixels: a search result, a list card on a dense screen, a whole page.
SIZES = {"thumb": 200, "card": 480, "full": 1280}
FOLDER = "pictures"
ORIGINAL = "full.jpg"


class NotAPicture(Refused):
    code = "not_a_picture"
    detail = _("Send a JPEG, PNG or WebP picture of at most 40 megapixels.")


def decode(file: IO[bytes]) -> tuple[Image.Image, str]:
    """The picture in ``file``, upright and without metadata, and its format. Raises NotAPicture."""
    try:
        with warnings.catch_warnings():
            # Pillow only warns of a picture up to twice its limit; ours is checked below.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture: Image.Image = Image.open(file, formats=OPENED)
        # The size stands in the header: nothing is decoded before this.
        if picture.width * picture.height > MAX_PIXELS:
            raise NotAPicture
        kind = FORMATS[picture.format or ""]
        picture.load()
        picture = ImageOps.exif_transpose(picture)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise NotAPicture from error
    picture = picture.convert("RGB" if kind == "JPEG" else "RGBA")
    picture.info.clear()
    return picture, kind


def store_picture(file: IO[bytes], storage: Storage, *, name: str = "") -> str:
    """Store every size of a picture and return the name to keep. Raises NotAPicture.

    ``name`` is for pictures that are made again, such as the demo's; others get a random one.
    """
    picture, _kind = decode(file)
    name = name or secrets.token_urlsafe(16)
    folder = f"{FOLDER}/{name[:2].lower()}/{name}"
    for size, side in SIZES.items():
        smaller = picture.copy()
        smaller.thumbnail((side, side))
        storage.save(f"{folder}/{size}.jpg", ContentFile(_encode(_on_white(smaller), "JPEG")))
        storage.save(f"{folder}/{size}.webp", ContentFile(_encode(smaller, "WEBP")))
    return f"{folder}/{ORIGINAL}"


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode != "RGBA":
        return picture
    ground = Image.new("RGB", picture.size, "white")
    ground.paste(picture, mask=picture.getchannel("A"))
    return ground


def _encode(picture: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, quality=82)
    return buffer.getvalue()


def has_sizes(name: str) -> bool:
    """Whether a stored name is one of `store_picture`; older ones are a single file."""
    return name.startswith(f"{FOLDER}/")


@lru_cache(maxsize=50_000)
def picture_url(name: str, size: str = "full") -> str:
    """Absolute URL of a stored picture as JPEG, or "" for none. What a name's URL is never changes."""
    if has_sizes(name):
        name = f"{name.removesuffix(ORIGINAL)}{size}.jpg"
    return default_storage.url(name) if name else ""


class PictureFormField(forms.ImageField):
    """Refuses what `decode` refuses, where the person who sent it can read why."""

    def to_python(self, data: Any) -> Any:
        file = super().to_python(data)
        if file is None:
            return None
        try:
            file.seek(0)
            decode(file)
        except NotAPicture as error:
            raise ValidationError(str(error.detail)) from error
        file.seek(0)
        return file


class PictureFieldFile(ImageFieldFile):
    def save(self, name: str, content: Any, save: bool = True) -> None:
        """Store every size; the name that was sent is never used."""
        self.name = store_picture(content, self.storage)
        setattr(self.instance, self.field.attname, self.name)
        self._committed = True
        if save:
            self.instance.save()


class PictureField(models.ImageField):
    """A picture in every size; the column holds the name of the largest JPEG."""

    attr_class = PictureFieldFile

    def formfield(self, *args: Any, **kwargs: Any) -> Any:
        kwargs.setdefault("form_class", PictureFormField)
        return super().formfield(*args, **kwargs)
