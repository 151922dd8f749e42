"""What holds for the whole project."""

import ast
import gettext
import re
import secrets
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.urls import URLPattern, URLResolver, get_resolver
from drf_spectacular.generators import SchemaGenerator
from rest_framework.permissions import AllowAny

from tests.sandbox_process import ROOT

PUBLIC = {
    "auth/login/", "auth/refresh/", "categories/", "brands/", "products/", "products/{id}/",
    "brands/{id}/", "home/", "products/{id}/reviews/", "products/{id}/related/",
    "products/{id}/share-code/", "search/hot/", "search/suggestions/",
    "schema/", "docs/", "redoc/", "callbacks/wechatpay/", "callbacks/alipay/", "callbacks/wechat/",
}  # fmt: skip
OPERATIONS = {
    "POST auth/login/", "POST auth/refresh/", "POST auth/logout/", "GET me/", "PUT me/",
    "GET addresses/", "POST addresses/", "GET addresses/{id}/", "PUT addresses/{id}/",
    "DELETE addresses/{id}/", "POST uploads/", "GET categories/", "GET brands/", "GET products/",
    "GET products/{id}/", "GET cart/", "GET cart/count/", "PUT cart/selection/",
    "POST cart/lines/", "PUT cart/lines/{id}/", "DELETE cart/lines/{id}/", "POST orders/quote/",
    "POST orders/", "GET orders/", "GET orders/counts/",
    "DELETE orders/{number}/", "GET orders/{number}/", "POST orders/{number}/pay/",
    "POST orders/{number}/cancel/", "POST orders/{number}/confirm-receipt/",
    "POST payments/{number}/check/", "POST orders/{number}/refunds/", "GET refunds/",
    "GET refunds/{number}/", "POST refunds/{number}/withdraw/",
    "POST refunds/{number}/return-parcel/", "POST orders/{number}/reviews/", "GET coupons/",
    "GET messages/templates/", "POST messages/consents/", "GET coupons/mine/",
    "POST coupons/{id}/claim/", "POST coupons/redeem/",
    "GET home/", "GET brands/{id}/", "GET products/{id}/reviews/", "GET products/{id}/related/",
    "GET products/{id}/share-code/",
    "GET search/hot/", "GET search/suggestions/", "GET search/history/", "POST search/history/",
    "DELETE search/history/", "GET favourites/", "PUT favourites/{product}/",
    "DELETE favourites/{product}/", "GET footprints/", "POST footprints/", "DELETE footprints/",
    "GET reviews/", "POST reviews/{id}/follow-up/", "PUT me/phone/", "POST me/identities/",
}  # fmt: skip


def tracked(pattern: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", pattern],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return [ROOT / name for name in listed.stdout.split() if (ROOT / name).exists()]


def views() -> list[tuple[str, Any]]:
    """Every route below /api/v1/, in the schema's spelling, with its view class."""

    def walk(patterns: Any, prefix: str) -> Any:
        for pattern in patterns:
            path = prefix + str(pattern.pattern)
            if isinstance(pattern, URLResolver):
                yield from walk(pattern.url_patterns, path)
            elif isinstance(pattern, URLPattern) and path.startswith("api/v1/"):
                callback = pattern.callback
                yield (
                    path,
                    getattr(callback, "cls", getattr(callback, "view_class", None)),
                    callback,
                )

    found = []
    for path, cls, callback in walk(get_resolver().url_patterns, ""):
        plain = re.sub(r"\(\?P<(\w+)>(?:\[[^\]]*\]|[^)])*\)", r"{\1}", path.removeprefix("api/v1/"))
        plain = plain.replace("{pk}", "{id}").replace("^", "").replace("/?$", "/")
        found.append((plain, (cls, callback)))
    return found


def schema() -> dict[str, Any]:
    return SchemaGenerator().get_schema(request=None, public=True)


def test_every_public_route_is_named_here() -> None:
    """A5, A13: whatever is not in the list asks for a token."""
    public = set()
    for path, (cls, callback) in views():
        options = {**vars(cls), **getattr(callback, "initkwargs", {})}
        classes = options.get("permission_classes", getattr(cls, "permission_classes", [AllowAny]))
        if AllowAny in classes:
            public.add(path)
    assert public == PUBLIC


def test_the_schema_and_the_routes_agree() -> None:
    """API9: in both directions."""
    listed = {
        f"{method.upper()} {path.removeprefix('/api/v1/')}"
        for path, methods in schema()["paths"].items()
        for method in methods
    }
    assert listed == OPERATIONS
    routed = {path for path, _view in views()} - {
        "schema/",
        "docs/",
        "redoc/",
        "callbacks/wechatpay/",
        "callbacks/alipay/",
        "callbacks/wechat/",
    }
    assert routed == {operation.split()[1] for operation in OPERATIONS}


def test_every_operation_is_described() -> None:
    for path, methods in schema()["paths"].items():
        for method, operation in methods.items():
            where = f"{method} {path}"
            assert operation.get("summary"), where
            assert operation.get("description"), where
            answers = operation["responses"]
            assert any(status.startswith("2") for status in answers), where
            errors = {s: a for s, a in answers.items() if s.startswith(("4", "5"))}
            assert all(
                example["value"]["code"]
                for answer in errors.values()
                for example in answer["content"]["application/json"]["examples"].values()
            ), where
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            assert body is None or body["examples"], where
            if path.removeprefix("/api/v1/") not in PUBLIC:
                assert "401" in answers, where


def test_the_schema_is_valid() -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=StringIO())


def test_every_error_code_is_listed() -> None:
    description = schema()["info"]["description"]
    for code in ("out_of_stock", "price_changed", "idempotency_mismatch", "busy", "not_found"):
        assert f"`{code}`" in description


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


def test_the_example_environment_is_in_step() -> None:
    settings = (ROOT / "miniback" / "settings.py").read_text()
    readers = {"text", "flag", "number", "words", "url", "secret"}
    read = {
        node.args[0].value
        for node in ast.walk(ast.parse(settings))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in readers
        and isinstance(node.args[0], ast.Constant)
    }
    listed = set(re.findall(r"^([A-Z_0-9]+)=", (ROOT / ".env.example").read_text(), re.M))
    assert listed == read | {"DEMO_ADMIN_PASSWORD"}


def test_no_room_is_called_junk() -> None:
    names = {"utils", "helpers", "common", "misc", "base"}
    # Django asks a database backend for a module of this name.
    backends = ROOT / "miniback" / "core" / "backends"
    assert [
        path
        for path in tracked("*.py")
        if (path.stem in names or path.parent.name in names) and backends not in path.parents
    ] == []


def test_no_secret_is_in_the_repository() -> None:
    """T01."""
    marks = re.compile(r"BEGIN (RSA |EC )?PRIVATE KEY|sk_live_|AKIA[0-9A-Z]{16}")
    texts = [path for path in tracked("*") if path.suffix not in {".png", ".mo", ".jpg"}]
    assert [
        path for path in texts if path.name != "test_project.py" and marks.search(path.read_text())
    ] == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"SECRET_KEY": ""}, "SECRET_KEY"), ({"SECRET_KEY": "short"}, "SECRET_KEY"),
        ({"JWT_SIGNING_KEY": ""}, "JWT_SIGNING_KEY"), ({"JWT_SIGNING_KEY": "short"}, "JWT_SIGNING_KEY"),
        ({"JWT_SIGNING_KEY": "s" * 40}, "JWT_SIGNING_KEY"), ({"FIELD_HASH_KEY": ""}, "FIELD_HASH_KEY"),
        ({"FIELD_ENCRYPTION_KEYS": ""}, "FIELD_ENCRYPTION_KEYS"),
        ({"FIELD_ENCRYPTION_KEYS": "bad"}, "miniback.E001"), ({"DEBUG": "yess"}, "DEBUG"),
        ({"WORKERS": "two"}, "WORKERS"), ({"WORKERS": "0"}, "WORKERS"),
        ({"PUBLIC_URL": "shop"}, "PUBLIC_URL"),
        ({"WECHAT_BASE_URL": "http://127.0.0.1:9000", "WECHAT_APP_ID": "wx12345678"}, "miniback.E002"),
        ({"WECHAT_BASE_URL": "http://localhost:9000", "PUBLIC_URL": "https://shop.example"}, "miniback.E003"),
    ],
)  # fmt: skip
def test_bad_settings_stop_the_start(
    tmp_path: Path, change: dict[str, str], complaint: str
) -> None:
    """T01: no default secret, no quiet guess."""
    result = manage(tmp_path, "check", change)
    assert result.returncode != 0
    assert complaint in result.stderr


def manage(tmp_path: Path, command: str, change: dict[str, str]) -> Any:
    env = {
        "PATH": "/usr/bin:/bin", "ENV_FILE": "/dev/null", "VAR_DIR": str(tmp_path),
        "SECRET_KEY": "s" * 40, "JWT_SIGNING_KEY": "j" * 60, "FIELD_HASH_KEY": "h" * 40,
        "FIELD_ENCRYPTION_KEYS": "ZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWU=", **change,
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "manage.py", *command.split()],
        cwd=ROOT, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_an_example_production_environment_passes_the_deploy_check(tmp_path: Path) -> None:
    change = {
        "SECRET_KEY": secrets.token_urlsafe(48),
        "JWT_SIGNING_KEY": secrets.token_urlsafe(48),
        "PUBLIC_URL": "https://shop.example",
        "WECHAT_APP_ID": "wx1234567890abcdef",
        "BEHIND_PROXY": "1",
    }
    result = manage(tmp_path, "check --deploy --fail-level WARNING", change)
    assert (result.returncode, result.stderr) == (0, "")
    assert "no issues" in result.stdout
    crowded = manage(tmp_path, "check --deploy", {**change, "WORKERS": "30"})
    assert "miniback.E004" in crowded.stderr


def test_every_text_is_translated_and_compiled() -> None:
    folder = ROOT / "miniback" / "locale" / "zh_Hans" / "LC_MESSAGES"
    with (folder / "django.mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    same_in_both = {"openid", "unionid", "SKU", "SKUs", "PEM"}
    for entry in (folder / "django.po").read_text().split("\n\n")[1:]:
        source = re.split(r"^msg(?:str|id_plural)", entry, flags=re.M)[0]
        msgid = "".join(re.findall(r'^(?:msgid )?"(.*)"$', source, re.M)).replace('\\"', '"')
        assert "fuzzy" not in entry, msgid
        context = re.search(r'^msgctxt "(.*)"$', source, re.M)
        if context:
            translated = compiled.pgettext(context[1], msgid)
        elif "msgid_plural" in entry:
            translated = compiled.ngettext(msgid, msgid, 1)
        else:
            translated = compiled.gettext(msgid)
        assert translated != msgid or msgid in same_in_both
