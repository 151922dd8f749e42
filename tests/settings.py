"""The shop's settings, for tests: known secrets, fast passwords, no platform until a test has one."""

import os
import tempfile
from base64 import urlsafe_b64encode
from pathlib import Path

os.environ["ENV_FILE"] = os.devnull
os.environ["DEBUG"] = "0"
os.environ["SECRET_KEY"] = "tests-" + "s" * 40
os.environ["JWT_SIGNING_KEY"] = "tests-" + "j" * 40
os.environ["FIELD_ENCRYPTION_KEYS"] = urlsafe_b64encode(b"e" * 32).decode()
os.environ["FIELD_HASH_KEY"] = "tests-" + "h" * 40
os.environ["PUBLIC_URL"] = "http://127.0.0.1:8000"
os.environ["ALLOWED_HOSTS"] = "127.0.0.1,localhost,testserver"
os.environ["PRIVATE_ROOT"] = tempfile.mkdtemp(prefix="miniback-private-")
os.environ["CORS_ALLOWED_ORIGINS"] = "http://127.0.0.1:9000"

from miniback.settings import *  # noqa: E402, F403
from miniback.settings import STORAGES  # noqa: E402

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
MEDIA_ROOT = Path(tempfile.mkdtemp(prefix="miniback-media-"))
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
LOGGING_CONFIG = None
# No collectstatic before a test.
WHITENOISE_AUTOREFRESH = True
