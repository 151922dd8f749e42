"""Runs the sandbox: `python -m miniback.sandbox --port 9000 --dir var/sandbox`."""

import argparse
import os
import socketserver
from pathlib import Path
from typing import Any

import django
from django.core.management import call_command


def main() -> None:
    parser = argparse.ArgumentParser(prog="miniback.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=9000, help="0 takes a free one")
    parser.add_argument("--dir", type=Path, default=Path("var/sandbox"), help="database and keys")
    parser.add_argument("--shop-url", default="http://127.0.0.1:8000", help="for the phone page")
    parser.add_argument("--notice-speed", default="1", help="times faster than WeChat Pay")
    options = parser.parse_args()
    directory: Path = options.dir.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    os.environ["DJANGO_SETTINGS_MODULE"] = "miniback.sandbox.settings"
    os.environ["SANDBOX_DIR"] = str(directory)
    os.environ["SANDBOX_SHOP_URL"] = options.shop_url
    os.environ["SANDBOX_NOTICE_SPEED"] = options.notice_speed
    django.setup()
    call_command("migrate", verbosity=0)
    serve(options.port, directory, options.shop_url)


def serve(port: int, directory: Path, shop_url: str) -> None:
    # Django must be set up before its handlers and our models can be imported.
    from django.core.servers.basehttp import WSGIRequestHandler, WSGIServer  # noqa: PLC0415
    from django.core.wsgi import get_wsgi_application  # noqa: PLC0415

    from miniback.sandbox import keys, notices, refunds  # noqa: PLC0415

    class Server(socketserver.ThreadingMixIn, WSGIServer):
        daemon_threads = True
        request_queue_size = 1024

    class Handler(WSGIRequestHandler):
        def get_environ(self) -> dict[str, Any]:
            """With the connection, for faults of the line."""
            return {**super().get_environ(), "sandbox.connection": self}

        def log_message(self, *args: Any) -> None:
            """Access logs would hold codes and tokens."""

    server = Server(("127.0.0.1", port), Handler)
    server.set_app(get_wsgi_application())
    url = f"http://127.0.0.1:{server.server_port}"
    keys.make(directory, url=url, shop_url=shop_url)
    notices.start_sender(refunds.settle_refunds)
    print(f"sandbox at {url}", flush=True)  # noqa: T201  (its caller waits for this line)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


if __name__ == "__main__":
    main()
