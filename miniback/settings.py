"""Settings of the shop: Django, database, REST, our own. Values come from the environment or `.env`.

Every variable is listed in `.env.example`; a bad or missing value stops the start with its name.
"""

import os
import secrets
from base64 import urlsafe_b64encode
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

BASE_DIR = Path(__file__).resolve().parent.parent
environ.Env.read_env(os.environ.get("ENV_FILE") or BASE_DIR / ".env")


# Readers. django-environ's own take any word for False; these refuse what they cannot read.


def text(name: str, default: str | None = None) -> str:
    value = os.environ.get(name, "").strip() or default
    if value is None:
        raise ImproperlyConfigured(f"Set {name} (see .env.example).")
    return value


def flag(name: str, default: bool) -> bool:
    words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    value = text(name, str(default)).lower()
    if value not in words:
        raise ImproperlyConfigured(f"{name} is {value!r}; write 1 or 0.")
    return words[value]


def number(name: str, default: int, *, at_least: int = 0) -> int:
    value = text(name, str(default))
    if not value.isascii() or not value.isdigit() or int(value) < at_least:
        raise ImproperlyConfigured(f"{name} is {value!r}; write a whole number from {at_least} up.")
    return int(value)


def words(name: str, default: str = "") -> list[str]:
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def url(name: str, default: str) -> str:
    value = text(name, default).rstrip("/")
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ImproperlyConfigured(
            f"{name} is {value!r}; write a URL such as https://shop.example."
        )
    return value


def secret(name: str) -> str:
    """A secret has no default. In DEBUG one is made once and kept under var/."""
    if os.environ.get(name) or not DEBUG:
        return text(name)
    kept = VAR_DIR / "secrets" / name
    kept.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(os.open(kept, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(urlsafe_b64encode(secrets.token_bytes(32)).decode())
    except FileExistsError:
        pass
    return kept.read_text()


# What is written at run time: SQLite, pictures, the secrets of DEBUG, the sandbox.
VAR_DIR = Path(text("VAR_DIR", str(BASE_DIR / "var")))


# Django

DEBUG = flag("DEBUG", False)
SECRET_KEY = secret("SECRET_KEY")
SECRET_KEY_FALLBACKS = words("SECRET_KEY_FALLBACKS")
if len(SECRET_KEY) < 32:
    raise ImproperlyConfigured("SECRET_KEY is shorter than 32 characters.")

# Where customers and platforms reach the shop, without a slash at the end: notify and picture
# URLs are built from it, never from a request's Host.
PUBLIC_URL = url("PUBLIC_URL", "http://127.0.0.1:8000")
IS_HTTPS = PUBLIC_URL.startswith("https://")
ALLOWED_HOSTS = words("ALLOWED_HOSTS", "*" if DEBUG else str(urlsplit(PUBLIC_URL).hostname))
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]

INSTALLED_APPS = [
    "miniback.apps.MinibackAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "corsheaders",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "miniback.apps.MinibackConfig",
    "miniback.core",
    "accounts",
    "catalog",
    "orders",
]
MIDDLEWARE = [
    "miniback.core.middleware.RefuseMalformedRequests",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "miniback.urls"
# Routes accept both forms themselves, so nothing is redirected (a POST would lose its body).
APPEND_SLASH = False
WSGI_APPLICATION = "miniback.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LANGUAGE_CODE = "zh-hans"
LANGUAGES = [("zh-hans", _("Simplified Chinese")), ("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "miniback" / "locale"]
TIME_ZONE = "Asia/Shanghai"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
MEDIA_ROOT = Path(text("MEDIA_ROOT", str(VAR_DIR / "media")))
PRIVATE_ROOT = Path(text("PRIVATE_ROOT", str(VAR_DIR / "private")))
MEDIA_URL = url("MEDIA_URL", f"{PUBLIC_URL}/media") + "/"
WHITENOISE_USE_FINDERS = DEBUG
WHITENOISE_AUTOREFRESH = DEBUG


def s3_storage(bucket: str, public_url: str) -> dict[str, Any]:
    """Any S3-compatible store (OSS, COS, MinIO); ``public_url`` is where its objects are read from."""
    public = urlsplit(public_url)
    return {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": bucket,
            "endpoint_url": text("MEDIA_S3_ENDPOINT"),
            "region_name": text("MEDIA_S3_REGION", "us-east-1"),
            "access_key": text("MEDIA_S3_ACCESS_KEY"),
            "secret_key": text("MEDIA_S3_SECRET_KEY"),
            # Objects are public, and their names never come again.
            "querystring_auth": False,
            "object_parameters": {"CacheControl": "public, max-age=31536000, immutable"},
            "custom_domain": f"{public.netloc}{public.path}".rstrip("/"),
            "url_protocol": f"{public.scheme}:",
            # Newer checksums are unknown to some stores.
            "client_config": S3Config(
                signature_version="s3v4",
                s3={"addressing_style": text("MEDIA_S3_ADDRESSING", "virtual")},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        },
    }


# Pictures are kept on the disk, or in this bucket; the other MEDIA_S3_ values say how to reach it.
MEDIA_S3_BUCKET = text("MEDIA_S3_BUCKET", "")
if MEDIA_S3_BUCKET:
    from botocore.config import Config as S3Config  # type: ignore[import-untyped, import-not-found, unused-ignore]
STORAGES: dict[str, dict[str, Any]] = {
    "default": s3_storage(MEDIA_S3_BUCKET, MEDIA_URL)
    if MEDIA_S3_BUCKET
    else {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    # What staff upload and export; several machines share this folder.
    "private": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": PRIVATE_ROOT, "base_url": None},
    },
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# Largest request body in bytes; uploads have their own limit in miniback.core.uploads.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = IS_HTTPS
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_HSTS_SECONDS = number("SECURE_HSTS_SECONDS", 31_536_000 if IS_HTTPS else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SECURE_HSTS_SECONDS > 0
# Only behind a proxy of ours that always sets or removes X-Forwarded-Proto.
if flag("BEHIND_PROXY", False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": text("LOG_LEVEL", "INFO").upper()},
    # It warns of every 4xx, which are answers and not faults.
    "loggers": {"django.request": {"level": "ERROR"}},
}


# Database: sqlite:///path, mysql://user:password@host:3306/name or postgres://...


def database(address: str) -> dict[str, Any]:
    """Return Django's settings for ``address`` with the options every deployment must have."""
    config: dict[str, Any] = dict(environ.Env.db_url_config(address))
    # A server thread keeps its connection: SQLite too, where closing the last one costs a checkpoint.
    config.update(CONN_MAX_AGE=60)
    options: dict[str, Any] = config.setdefault("OPTIONS", {})
    if config["ENGINE"].endswith("sqlite3"):
        if config["NAME"] != ":memory:":
            config["NAME"] = BASE_DIR / config["NAME"]
            config["NAME"].parent.mkdir(parents=True, exist_ok=True)
        # A read that later writes would otherwise fail at once with "database is locked".
        options.update(transaction_mode="IMMEDIATE", timeout=20)
        options["init_command"] = "PRAGMA journal_mode=WAL"
        # A file and not memory: threads of a live server must see the same rows.
        config["TEST"] = {"NAME": VAR_DIR / "test" / "test.sqlite3"}
        config["TEST"]["NAME"].parent.mkdir(parents=True, exist_ok=True)
        return config
    config.update(CONN_HEALTH_CHECKS=True)
    # The same backends, which trust for a second a connection that has just answered.
    config["ENGINE"] = config["ENGINE"].replace("django.db", "miniback.core")
    if config["ENGINE"].endswith("mysql"):
        options.update(charset="utf8mb4", isolation_level="read committed")
        options.update(connect_timeout=3, read_timeout=60, write_timeout=60)
        options["init_command"] = (
            "SET sql_mode='STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION', innodb_lock_wait_timeout=5"
        )
        config["TEST"] = {"CHARSET": "utf8mb4"}
    else:
        options.update(connect_timeout=3)
        options["options"] = "-c lock_timeout=5s -c statement_timeout=60s"
    return config


DATABASES = {"default": database(text("DATABASE_URL", f"sqlite:///{VAR_DIR}/db.sqlite3"))}
# What the database server accepts; `check --deploy` compares WORKERS x BLOCKING_THREADS with it.
DATABASE_MAX_CONNECTIONS = number("DATABASE_MAX_CONNECTIONS", 100, at_least=1)
WORKERS = number("WORKERS", 2, at_least=1)
BLOCKING_THREADS = number("BLOCKING_THREADS", 4, at_least=1)

# Shared by all processes where there is more than one machine: redis://host:6379/0.
CACHES = {"default": environ.Env.cache_url_config(text("CACHE_URL", "locmemcache://"))}


# REST

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.authentication.SessionTokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["miniback.core.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["miniback.core.renderers.ORJSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "miniback.core.renderers.NothingToNegotiate",
    "DEFAULT_PAGINATION_CLASS": "miniback.core.pagination.KeysetPagination",
    "DEFAULT_SCHEMA_CLASS": "miniback.core.schema.MinibackSchema",
    "EXCEPTION_HANDLER": "miniback.core.handlers.exception_handler",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "URL_FORMAT_OVERRIDE": None,
}
JWT_SIGNING_KEY = secret("JWT_SIGNING_KEY")
if len(JWT_SIGNING_KEY) < 32 or JWT_SIGNING_KEY == SECRET_KEY:
    raise ImproperlyConfigured("JWT_SIGNING_KEY needs 32 characters that are not SECRET_KEY.")
SIMPLE_JWT = {
    "ALGORITHM": "HS256",
    "SIGNING_KEY": JWT_SIGNING_KEY,
    "ISSUER": "miniback",
    "AUDIENCE": PUBLIC_URL,
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=30),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=30),
    "LEEWAY": 30,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "miniback",
    "VERSION": "1",
    "DESCRIPTION": (
        "The API of a shop for WeChat, Alipay and Douyin mini programs.\n\n"
        "## Sending a request again\n\n"
        "Everything that creates takes the header `Idempotency-Key`, 8 to 64 visible ASCII characters; "
        "placing an order and asking for a refund need it. A request whose answer was lost, or that "
        "was answered 503, is sent again with the same key and body: it is carried out once, and "
        "answered with what was created, as it is now (404 if it was deleted since). A key is good "
        "for one endpoint and body; with another it is 422 `idempotency_mismatch`. Keys are kept "
        "for seven days."
    ),
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "OrderStatus": "orders.status.OrderStatus",
        "PaymentStatus": "orders.status.PaymentStatus",
        "RefundStatus": "orders.status.RefundStatus",
        "RefundKind": "orders.status.RefundKind",
        "ActorKind": "orders.status.Actor",
        "UploadPurpose": "miniback.core.models.UploadPurpose",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "miniback.core.schema.list_error_codes",
    ],
}
# Browsers only: H5 pages and the sandbox's phone. A mini program sends no Origin.
CORS_ALLOWED_ORIGINS = words("CORS_ALLOWED_ORIGINS")
CORS_URLS_REGEX = r"^/api/"
CORS_ALLOW_METHODS = ("GET", "POST", "PUT", "DELETE", "OPTIONS")
CORS_ALLOW_HEADERS = (
    "accept",
    "accept-language",
    "authorization",
    "content-type",
    "idempotency-key",
)
CORS_EXPOSE_HEADERS = ("retry-after",)


# Our own

# Fernet keys, newest first: the first encrypts, all decrypt. `openssl rand -base64 32 | tr +/ -_`
FIELD_ENCRYPTION_KEYS = [key.strip() for key in secret("FIELD_ENCRYPTION_KEYS").split(",")]
# Makes searchable hashes of encrypted values. Changing it makes old hashes unfindable.
FIELD_HASH_KEY = secret("FIELD_HASH_KEY")

# How long an unpaid order keeps its stock.
UNPAID_ORDER_LIFETIME = timedelta(minutes=number("UNPAID_ORDER_MINUTES", 30, at_least=5))

# How long after shipping an order counts as received.
# Pieces of a SKU from which on the back office asks for more.
LOW_STOCK = number("LOW_STOCK", 10)
ORDER_RECEIVE_TIME = timedelta(days=number("ORDER_RECEIVE_DAYS", 10, at_least=1))

# From how many fen up a refund on request needs a second member of staff; 0: never.
REFUND_SECOND_APPROVAL_FEN = number("REFUND_SECOND_APPROVAL_FEN", 0)

# How many seconds a CDN may give a catalogue answer without asking; 0: it always asks (by ETag).
CDN_SECONDS = number("CDN_SECONDS", 0)

# Opens /metrics to a scraper that sends it as a bearer token; empty: there is no such page.
METRICS_TOKEN = text("METRICS_TOKEN", "")

# Chinese letters for posters (TrueType or OpenType). Debian: fonts-noto-cjk. Without: no posters.
NOTO_SANS = Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc")
POSTER_FONT_FILE = text("POSTER_FONT_FILE", str(NOTO_SANS) if NOTO_SANS.exists() else "")

# Finds products by text: a class with the methods of catalog.services.search.SearchEngine.
SEARCH_ENGINE = text("SEARCH_ENGINE", "catalog.services.search.BigramEngine")

# The mini program (WeChat: 开发管理 > 开发设置). A base URL is changed only for the sandbox.
WECHAT_APP_ID = text("WECHAT_APP_ID", "")
WECHAT_APP_SECRET = text("WECHAT_APP_SECRET", "")
# 发货信息管理: tell WeChat of every parcel of an order that was paid by WeChat Pay.
WECHAT_UPLOAD_SHIPPING = flag("WECHAT_UPLOAD_SHIPPING", True)
# 内容安全: reviews and nicknames are shown when WeChat has looked at them.
WECHAT_CONTENT_CHECK = flag("WECHAT_CONTENT_CHECK", True)
# 消息推送: JSON, secure mode.
WECHAT_PUSH_TOKEN = text("WECHAT_PUSH_TOKEN", "")
WECHAT_PUSH_AES_KEY = text("WECHAT_PUSH_AES_KEY", "")
# Where a product's mini-program code leads; the page gets the scene "id=<product>".
WECHAT_PRODUCT_PAGE = text("WECHAT_PRODUCT_PAGE", "pages/product/product")
WECHAT_BASE_URL = url("WECHAT_BASE_URL", "https://api.weixin.qq.com")

# The merchant (WeChat Pay: 账户中心 > API安全), public-key mode.
WECHATPAY_MCH_ID = text("WECHATPAY_MCH_ID", "")
WECHATPAY_API_V3_KEY = text("WECHATPAY_API_V3_KEY", "")
WECHATPAY_SERIAL = text("WECHATPAY_SERIAL", "")
WECHATPAY_PRIVATE_KEY_FILE = text("WECHATPAY_PRIVATE_KEY_FILE", "")
WECHATPAY_PUBLIC_KEY_ID = text("WECHATPAY_PUBLIC_KEY_ID", "")
WECHATPAY_PUBLIC_KEY_FILE = text("WECHATPAY_PUBLIC_KEY_FILE", "")
# A merchant in certificate mode, or on its way from there to the public key: fetch certificates.
WECHATPAY_CERTIFICATES = flag("WECHATPAY_CERTIFICATES", not WECHATPAY_PUBLIC_KEY_ID)
WECHATPAY_BASE_URL = url("WECHATPAY_BASE_URL", "https://api.mch.weixin.qq.com")

# Alipay (开放平台 > 小程序 > 开发设置). With both certificates the public key file is a certificate too.
ALIPAY_APP_ID = text("ALIPAY_APP_ID", "")
ALIPAY_SELLER_ID = text("ALIPAY_SELLER_ID", "")
ALIPAY_PRIVATE_KEY_FILE = text("ALIPAY_PRIVATE_KEY_FILE", "")
ALIPAY_PUBLIC_KEY_FILE = text("ALIPAY_PUBLIC_KEY_FILE", "")
ALIPAY_APP_CERT_FILE = text("ALIPAY_APP_CERT_FILE", "")
ALIPAY_ROOT_CERT_FILE = text("ALIPAY_ROOT_CERT_FILE", "")
# 接口内容加密方式, for phone numbers.
ALIPAY_AES_KEY = text("ALIPAY_AES_KEY", "")
ALIPAY_BASE_URL = url("ALIPAY_BASE_URL", "https://openapi.alipay.com")

# Accounts that the shop had before, while money of theirs may still go back: a TOML file with tables
# [[wechat]] and [[alipay]], whose names are the settings above (docs/platforms.md).
FORMER_ACCOUNTS_FILE = text("FORMER_ACCOUNTS_FILE", "")

# Douyin (开放平台 > 小程序 > 开发设置): login only.
DOUYIN_APP_ID = text("DOUYIN_APP_ID", "")
DOUYIN_APP_SECRET = text("DOUYIN_APP_SECRET", "")
DOUYIN_BASE_URL = url("DOUYIN_BASE_URL", "https://developer.toutiao.com")
