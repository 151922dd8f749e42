"""Pictures in an S3-compatible store: real HTTP to a stand-in that keeps objects in memory."""

import io
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.utils.module_loading import import_string

import miniback.settings
from miniback.core.pictures import store_picture
from tests.core.test_uploads import picture

pytest.importorskip("storages", reason="requirements/production.txt is not installed")

OBJECTS: dict[str, tuple[bytes, dict[str, str]]] = {}


class Bucket(BaseHTTPRequestHandler):
    def do_PUT(self) -> None:  # noqa: N802
        body = self.rfile.read(int(self.headers["Content-Length"]))
        OBJECTS[self.path] = body, dict(self.headers)
        self.answer(200)

    def do_GET(self) -> None:  # noqa: N802
        found = OBJECTS.get(self.path)
        self.answer(200 if found else 404, found[0] if found else b"")

    do_HEAD = do_GET  # noqa: N815

    def answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"x"')
        self.send_header("Last-Modified", "Wed, 25 Nov 2026 00:00:00 GMT")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    OBJECTS.clear()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_picture_is_kept_in_the_bucket(endpoint: str, monkeypatch: Any) -> None:
    from botocore.config import Config  # noqa: PLC0415

    monkeypatch.setattr(miniback.settings, "S3Config", Config, raising=False)
    for name, value in {
        "ENDPOINT": endpoint, "ACCESS_KEY": "key", "SECRET_KEY": "secret", "ADDRESSING": "path",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"MEDIA_S3_{name}", value)
    config = miniback.settings.s3_storage("shop", "https://img.shop.example/media/")
    storage = import_string(config["BACKEND"])(**config["OPTIONS"])

    name = store_picture(io.BytesIO(picture()), storage)
    assert len(OBJECTS) == 6
    body, headers = OBJECTS[f"/shop/{name}"]
    assert body.startswith(b"\xff\xd8")
    assert headers["Content-Type"] == "image/jpeg"
    assert "immutable" in headers["Cache-Control"]
    assert re.match(r"AWS4-HMAC-SHA256 Credential=key/", headers["Authorization"])
    assert storage.url(name) == f"https://img.shop.example/media/{name}"
    with storage.open(name) as file:
        assert file.read() == body
