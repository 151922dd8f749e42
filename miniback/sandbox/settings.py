"""Settings of the sandbox. `SANDBOX_DIR` holds its database and keys."""

import os
import secrets
from pathlib import Path

SANDBOX_DIR = Path(os.environ["SANDBOX_DIR"])
# The shop that the phone page talks to.
SHOP_URL = os.environ.get("SANDBOX_SHOP_URL", "http://127.0.0.1:8000")
# How many times faster than WeChat Pay notices are repeated and refunds arrive.
NOTICE_SPEED = float(os.environ.get("SANDBOX_NOTICE_SPEED", "1"))

SECRET_KEY = secrets.token_hex(32)
DEBUG = False
ALLOWED_HOSTS = ["*"]
APPEND_SLASH = False
INSTALLED_APPS = ["miniback.sandbox.apps.SandboxConfig"]
MIDDLEWARE: list[str] = []
ROOT_URLCONF = "miniback.sandbox.urls"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": SANDBOX_DIR / "sandbox.sqlite3",
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 30,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "Asia/Shanghai"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    # A refusal is an answer and not a fault.
    "loggers": {"django": {"handlers": ["console"], "level": "ERROR"}},
}
