import io
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

from miniback.core.models import Upload
from tests.conftest import Api

pytestmark = pytest.mark.django_db


def picture(kind: str = "JPEG", size: tuple[int, int] = (60, 40), **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (200, 30, 30)).save(buffer, kind, **options)
    return buffer.getvalue()


def send(api: Api, content: bytes, *, name: str = "a.jpg", purpose: str = "avatar") -> Any:
    file = SimpleUploadedFile(name, content, content_type="image/jpeg")
    headers = {"Authorization": f"Bearer {api.access}"} if api.access else {}
    return api.client.post("/api/v1/uploads/", {"file": file, "purpose": purpose}, headers=headers)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_is_encoded_again_under_a_random_name(api: Api, kind: str) -> None:
    answer = send(api, picture(kind), name="../../etc/passwd.jpg")

    assert answer.status_code == 201
    upload = Upload.objects.get(pk=answer.json()["id"])
    assert upload.file.name == f"uploads/{upload.pk[:2]}/{upload.pk}.{kind.lower()}"
    assert Image.open(default_storage.open(upload.file.name)).format == kind
    assert answer.json()["url"].startswith("http://127.0.0.1:8000/media/uploads/")


def test_exif_is_dropped(api: Api) -> None:
    """B10: a position does not leave the phone."""
    exif = Image.Exif()
    exif[0x010E] = "secret place"
    content = picture(exif=exif)
    assert b"secret place" in content

    upload = Upload.objects.get(pk=send(api, content).json()["id"])
    with default_storage.open(upload.file.name) as file:
        assert b"secret place" not in file.read()


def test_an_anonymous_upload_is_refused(anonymous: Api, db: None) -> None:
    """T19."""
    assert send(anonymous, picture()).status_code == 401


@pytest.mark.parametrize(
    "content",
    [
        b"", b"<svg onload=alert(1)>", b"<html><script>alert(1)</script>", b"GIF89a",
        b"\xff\xd8\xff" + b"x" * 100, picture()[:200],
    ],
)  # fmt: skip
def test_what_is_no_picture_is_refused(api: Api, content: bytes) -> None:
    """T20, B10."""
    answer = send(api, content, name="a.png")
    assert answer.status_code == 400
    assert not Upload.objects.exists()


def test_too_many_pixels_are_refused_before_decoding(api: Api) -> None:
    """B10: a small file that unfolds to gigabytes."""
    buffer = io.BytesIO()
    Image.new("1", (50_000, 50_000)).save(buffer, "PNG")
    answer = send(api, buffer.getvalue(), name="bomb.png")

    assert (answer.status_code, answer.json()["code"]) == (400, "not_a_picture")


def test_a_large_file_is_refused_by_its_announced_size(api: Api) -> None:
    answer = send(api, b"\xff" * (11 * 1024 * 1024))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_unknown_purposes_are_refused(api: Api) -> None:
    assert send(api, picture(), purpose="shell").json()["code"] == "invalid"
