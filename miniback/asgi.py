"""Entry point for ASGI hosts; the shop itself is served over WSGI."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "miniback.settings")
application = get_asgi_application()
