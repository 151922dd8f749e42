"""Codes and posters of products: made once, by what is on them."""

import io
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from PIL import Image

from catalog.drawing import draw
from catalog.models import Product, ProductStatus
from catalog.services import sharing
from catalog.services.products import refresh_product, set_status
from miniback.media import unused_files
from tests.conftest import Api
from tests.factories import make_product, make_sku
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db
NOTO_SANS = Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc")


@pytest.fixture
def product(sandbox: SandboxProcess, settings: Any, tmp_path: Path) -> Product:
    settings.POSTER_FONT_FILE, settings.MEDIA_ROOT = "", tmp_path
    return make_sku(product=make_product(name="西湖龙井 特级 明前手工炒制")).product


def share(api: Api, product: Product) -> Any:
    answer = api.get(f"products/{product.pk}/share-code/")
    assert answer.status_code == 200, answer.content
    return answer.json()


def stored(url: str) -> Image.Image:
    name = url[url.index("shares/") :]
    return Image.open(io.BytesIO(default_storage.open(name).read()))


def test_a_code_is_asked_for_once(
    anonymous: Api, product: Product, sandbox: SandboxProcess
) -> None:
    first = share(anonymous, product)
    assert stored(first["code_url"]).format == "JPEG"
    assert first["poster_url"] is None
    # Whoever asked the platform again would meet this.
    sandbox.fault("wechat.code_image", "http_500")
    assert share(anonymous, product) == first
    assert [one["times"] for one in sandbox.get("/faults/")["faults"]] == [1]


@pytest.mark.parametrize(
    ("fault", "options"),
    [("errcode", {"errcode": 45009}), ("errcode", {"errcode": 41030}), ("html", {}), ("empty", {})],
)
def test_without_a_code_nothing_is_kept(
    anonymous: Api, product: Product, sandbox: SandboxProcess, fault: str, options: Any
) -> None:
    sandbox.fault("wechat.code_image", fault, **options)
    answer = anonymous.get(f"products/{product.pk}/share-code/")
    assert (answer.status_code, answer.json()["code"]) == (503, "platform_unavailable")
    assert share(anonymous, product)["code_url"]


def test_what_is_not_on_sale_is_not_shared(anonymous: Api, product: Product) -> None:
    set_status([product.pk], ProductStatus.OFF_SALE)
    assert anonymous.get(f"products/{product.pk}/share-code/").status_code == 404
    assert anonymous.get("products/999999/share-code/").status_code == 404


def test_a_shop_without_a_mini_program(anonymous: Api, product: Product, settings: Any) -> None:
    settings.WECHAT_APP_ID = ""
    assert anonymous.get(f"products/{product.pk}/share-code/").status_code == 404


def test_new_ones_are_made_at_a_bounded_rate(
    anonymous: Api, product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "MOST_A_MINUTE", 1)
    share(anonymous, product)
    other = make_sku().product
    answer = anonymous.get(f"products/{other.pk}/share-code/")
    assert (answer.status_code, answer.json()["code"]) == (429, "throttled")
    # What is there costs nothing.
    share(anonymous, product)


@pytest.mark.skipif(
    not NOTO_SANS.exists(), reason="no Chinese font: apt-get install fonts-noto-cjk"
)
def test_a_poster_follows_what_is_on_it(anonymous: Api, product: Product, settings: Any) -> None:
    settings.POSTER_FONT_FILE = str(NOTO_SANS)
    product.cover = SimpleUploadedFile("tea.jpg", draw(0, seed=1))
    product.save()
    first = share(anonymous, product)
    poster = stored(first["poster_url"])
    assert (poster.format, poster.size) == ("JPEG", (750, 1100))
    # The price is written in red, the name in ink, the cover is not white.
    assert poster.getpixel((375, 375)) != (255, 255, 255)
    assert any(red > 180 and blue < 100 for red, _green, blue in price_of(poster))
    product.skus.update(price_fen=500)
    refresh_product(product.pk)
    second = share(anonymous, product)
    assert second["code_url"] == first["code_url"]
    assert second["poster_url"] != first["poster_url"]


def price_of(poster: Image.Image) -> list[Any]:
    return list(poster.crop((40, 790, 300, 860)).get_flattened_data())


def test_codes_are_swept_and_made_again(anonymous: Api, product: Product) -> None:
    url = share(anonymous, product)["code_url"]
    names = [one.name for one in unused_files(timezone.now())]
    assert [name for name in names if name.startswith("shares/")] == [url[url.index("shares/") :]]
    for name in names:
        default_storage.delete(name)
    assert share(anonymous, product)["code_url"] == url
