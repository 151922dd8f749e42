"""What a product is shared by: a mini-program code and a poster, each made once and stored."""

import hashlib
import io
import logging
from typing import NamedTuple

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from PIL import Image

from catalog.models import Product
from catalog.poster import draw_poster
from miniback.core import providers
from miniback.core.errors import NotFound, PlatformUnavailable
from miniback.core.money import format_yuan
from miniback.core.pictures import NotAPicture, decode
from miniback.core.throttling import count_try
from miniback.platforms.errors import PlatformError

logger = logging.getLogger(__name__)

FOLDER = "shares"
# New ones, in all of the shop: a stranger walking through every product costs only so much.
MOST_A_MINUTE = 120


class Share(NamedTuple):
    code_url: str
    poster_url: str | None


def share_product(product_id: int) -> Share:
    """URLs of a product's code, and of its poster where the shop has a font to write it with.

    Names follow from what is on them, so a URL's picture never changes. The first call asks the
    platform. Raises NotFound, Throttled, PlatformUnavailable.
    """
    product = Product.objects.on_sale().filter(pk=product_id).first()
    if product is None or not providers.is_offered("wechat"):
        raise NotFound
    scene, page = f"id={product.pk}", settings.WECHAT_PRODUCT_PAGE
    code_name = _name(settings.WECHAT_APP_ID, page, scene)
    if not default_storage.exists(code_name):
        count_try(FOLDER, limit=MOST_A_MINUTE, window_seconds=60)
        _store(code_name, _ask_for_code(scene, page))
    return Share(default_storage.url(code_name), _poster_url(product, code_name))


def _name(*parts: str) -> str:
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
    return f"{FOLDER}/{digest[:2]}/{digest}.jpg"


def _ask_for_code(scene: str, page: str) -> bytes:
    """As a JPEG, whatever the platform gave."""
    try:
        picture, _kind = decode(io.BytesIO(providers.wechat().code_image(scene=scene, page=page)))
    except (PlatformError, NotAPicture) as error:
        logger.error("code for %s failed: %s", scene, error)
        raise PlatformUnavailable(retry_after=5) from error
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _poster_url(product: Product, code_name: str) -> str | None:
    font = settings.POSTER_FONT_FILE
    if not font:
        return None
    price = format_yuan(product.price_fen)
    name = _name(code_name, product.cover.name or "", product.name, price)
    if not default_storage.exists(name):
        count_try(FOLDER, limit=MOST_A_MINUTE, window_seconds=60)
        code = _open(code_name)
        if code is None:
            return None
        cover = _open(product.cover.name or "")
        _store(name, draw_poster(cover, code, name=product.name, price=price, font_file=font))
    return default_storage.url(name)


def _open(name: str) -> Image.Image | None:
    """A stored picture; None for one that has been lost."""
    if not name:
        return None
    try:
        with default_storage.open(name) as file:
            return decode(file)[0]
    except (OSError, NotAPicture):
        logger.error("%s is missing or no picture", name)
        return None


def _store(name: str, content: bytes) -> None:
    default_storage.save(name, ContentFile(content))
