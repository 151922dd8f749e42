"""Pictures in sizes: what staff upload, what is refused, and what is swept away."""

import io
import os
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.utils import timezone
from PIL import Image

from catalog.models import Brand, ProductPicture
from miniback.core.models import Upload
from miniback.core.pictures import NotAPicture, PictureFormField, decode, picture_url, store_picture
from tests.conftest import Api
from tests.core.test_uploads import picture, send
from tests.factories import make_order, make_product, make_sku
from tests.sandbox_process import ROOT

pytestmark = pytest.mark.django_db


def opened(name: str) -> Any:
    return Image.open(default_storage.open(name))


def test_a_picture_is_kept_in_every_size() -> None:
    content = picture("PNG", (2000, 1000))
    brand = Brand.objects.create(name="x", logo=SimpleUploadedFile("../evil name.png", content))
    folder = brand.logo.name.removesuffix("/full.jpg")
    assert folder.startswith("pictures/")
    assert "evil" not in folder
    for size, width in {"thumb": 200, "card": 480, "full": 1280}.items():
        for extension, kind in {"jpg": "JPEG", "webp": "WEBP"}.items():
            image = opened(f"{folder}/{size}.{extension}")
            assert (image.format, image.size) == (kind, (width, width // 2))
    assert picture_url(brand.logo.name, "card").endswith(f"{folder}/card.jpg")


def test_what_was_stored_before_is_shown_as_it_is(anonymous: Api) -> None:
    product = make_product(cover="catalog/old.jpg")
    ProductPicture.objects.create(product=product, picture="catalog/old.jpg")
    body = anonymous.get(f"products/{product.pk}/").json()
    assert body["cover_url"] == body["images"][0] == "http://127.0.0.1:8000/media/catalog/old.jpg"


def test_older_pictures_get_their_sizes(capsys: Any) -> None:
    default_storage.save("catalog/older.png", io.BytesIO(picture("PNG")))
    product = make_product(cover="catalog/older.png")
    broken = make_product(cover="catalog/missing.png")
    for _time in range(2):
        call_command("derive_pictures")
    product.refresh_from_db()
    broken.refresh_from_db()
    assert opened(product.cover.name).format == "JPEG"
    assert broken.cover.name == "catalog/missing.png"
    out = capsys.readouterr()
    assert "1 pictures" in out.out and "0 pictures" in out.out
    assert out.err.count("catalog/missing.png") == 2


def test_transparency_becomes_white() -> None:
    buffer = io.BytesIO()
    Image.new("RGBA", (10, 10), (0, 0, 0, 0)).save(buffer, "PNG")
    name = store_picture(io.BytesIO(buffer.getvalue()), default_storage)
    assert opened(name).getpixel((5, 5)) == (255, 255, 255)
    assert opened(name.replace(".jpg", ".webp")).convert("RGBA").getpixel((5, 5))[3] == 0


def animated(kind: str, frames: int) -> bytes:
    buffer = io.BytesIO()
    pages = [Image.new("RGB", (8, 8), (n % 256, 0, 0)) for n in range(frames)]
    pages[0].save(buffer, kind, save_all=True, append_images=pages[1:])
    return buffer.getvalue()


REFUSED = {
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "html": b"<html><script>alert(1)</script>",
    "gif": b"GIF89a" + b"\0" * 50,
    "nothing": b"",
    "truncated": picture()[:300],
    "bmp": picture("BMP"),
    "a header only": b"\x89PNG\r\n\x1a\n" + b"\0" * 30,
}


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED)
def test_the_back_office_refuses_the_same(content: bytes) -> None:
    """B10, T20."""
    field = PictureFormField()
    with pytest.raises(Exception, match="picture|image|图|empty|空") as caught:
        field.clean(SimpleUploadedFile("a.png", content))
    assert type(caught.value).__name__ == "ValidationError"
    with pytest.raises(NotAPicture):
        decode(io.BytesIO(content))


@pytest.mark.parametrize(
    "content",
    [
        picture() + b"<script>alert(1)</script>",
        picture()[:2] + b"\xff\xfe\x00\x1b/*<script>alert(1)</script>*/" + picture()[2:],
        picture("PNG") + b"<?php system($_GET[0]);",
    ],
    ids=["behind a JPEG", "in a JPEG's comment", "behind a PNG"],
)
def test_what_hides_in_a_picture_is_not_kept(api: Api, content: bytes) -> None:
    """B10: a polyglot is a picture and a program; only the picture is stored."""
    upload = Upload.objects.get(pk=send(api, content).json()["id"])
    stored = [upload.file.name]
    name = store_picture(io.BytesIO(content), default_storage)
    stored += [name, name.replace("full.jpg", "thumb.webp")]
    for each in stored:
        with default_storage.open(each) as file:
            kept = file.read()
        assert b"script" not in kept and b"php" not in kept


@pytest.mark.parametrize("name", ["../../x", "C:\\x", "a\0.png", "x" * 5000, ".htaccess", "a.php"])
def test_a_files_name_is_never_used(api: Api, name: str) -> None:
    """B11, T19."""
    answer = send(api, picture(), name=name)
    assert answer.status_code in {201, 400}
    for upload in Upload.objects.all():
        assert upload.file.name == f"uploads/{upload.pk[:2]}/{upload.pk}.jpeg"


BOMBS = """
import io, resource, sys
from PIL import Image
import django
django.setup()
from miniback.core.pictures import NotAPicture, decode
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    try:
        with open(path, "rb") as file:
            decode(file)
        print("kept", path)
    except NotAPicture:
        print("refused", path)
print("grown", (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_bombs_cost_no_memory(tmp_path: Any) -> None:
    """B10: 50,000 x 50,000 pixels, and 10,000 frames, in a process that is measured."""
    with (tmp_path / "square.png").open("wb") as file:
        Image.new("1", (50_000, 50_000)).save(file, "PNG")
    (tmp_path / "frames.webp").write_bytes(animated("WEBP", 500))
    (tmp_path / "frames.png").write_bytes(animated("PNG", 2000))
    paths = [str(tmp_path / name) for name in ("square.png", "frames.webp", "frames.png")]
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    done = subprocess.run(
        [sys.executable, "-c", BOMBS, *paths], cwd=ROOT, env=env, capture_output=True, text=True
    )
    lines = done.stdout.splitlines()
    assert lines[0].startswith("refused"), done.stderr
    assert [line.split()[0] for line in lines[1:3]] == ["kept", "kept"]
    assert int(lines[-1].split()[1]) < 200


def test_what_nothing_uses_is_swept_away(api: Api, capsys: Any) -> None:
    old, kept = (
        Brand.objects.create(name=name, logo=SimpleUploadedFile("a.png", picture("PNG")))
        for name in "ab"
    )
    lost = old.logo.name
    Brand.objects.filter(pk=old.pk).update(logo="")
    ordered = store_picture(io.BytesIO(picture()), default_storage)
    order = make_order(sku=make_sku())
    order.lines.update(picture=ordered)
    used = Upload.objects.get(pk=send(api, picture()).json()["id"])
    api.put("me/", {"nickname": "x", "avatar": used.pk})
    unused = Upload.objects.get(pk=send(api, picture(), purpose="review").json()["id"])
    Upload.objects.update(created_at=timezone.now() - timedelta(days=2))
    for folder, _folders, files in os.walk(default_storage.path("")):
        for file in files:
            os.utime(os.path.join(folder, file), (1, 1))
    young = store_picture(io.BytesIO(picture()), default_storage)

    call_command("sweep_media")
    assert lost in capsys.readouterr().out
    assert default_storage.exists(lost)
    call_command("sweep_media", "--delete")
    for name in (
        kept.logo.name,
        ordered,
        used.file.name,
        young,
        kept.logo.name.replace("full", "thumb"),
    ):
        assert default_storage.exists(name), name
    for name in (lost, lost.replace("full.jpg", "thumb.webp"), unused.file.name):
        assert not default_storage.exists(name), name
    assert not Upload.objects.filter(pk=unused.pk).exists()
