"""Entry point of the server (granian, WSGI): the read cache, and Django behind it."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "miniback.settings")
django_application = get_wsgi_application()

from miniback.api import is_public  # noqa: E402
from miniback.core.read_cache import ReadCache  # noqa: E402

application = ReadCache(django_application, is_public)
