"""What no client should send: 400 with a code, never 500, nothing changed (RELIABILITY 2.4)."""

import json
from typing import Any

import pytest

from accounts.models import Address
from catalog.models import Sku
from orders.models import CartLine
from tests.conftest import Api
from tests.factories import ADDRESS

pytestmark = pytest.mark.django_db

NOT_QUANTITIES = [
    0, -1, -2, -(2**31), 2**31, 10**30, 1.5, 1.0, True, None, "1e3", "１２", "", "x", [1], {},
]  # fmt: skip


def refused(answer: Any, code: str = "invalid", status: int = 400) -> None:
    assert answer.status_code == status, answer.content
    assert answer.json()["code"] == code
    assert answer.json()["detail"]


@pytest.mark.parametrize("depth", [50, 5_000, 100_000])
@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_deep_json(api: Api, depth: int, opening: str) -> None:
    """B3."""
    refused(api.post("cart/lines/", (opening * depth).encode()))


def test_balanced_deep_json(api: Api) -> None:
    """B3: valid JSON, nested deeper than anything the API takes."""
    refused(api.post("cart/lines/", b"[" * 100_000 + b"]" * 100_000))


@pytest.mark.parametrize(
    "body",
    [
        b"NaN", b"[Infinity]", b'{"sku": -Infinity}', b'{"sku": ' + b"9" * 5_000 + b"}",
        b'{"sku": 1, "sku": 2, "quantity": 1}', b"", b"null", b"3", b'"x"', b"[]", b"{", b"{'a': 1}",
        b"\xff\xfe", b'{"sku": "\xc3\x28"}',
    ],
)  # fmt: skip
def test_json_that_is_none(api: Api, body: bytes) -> None:
    """B4, B6: NaN, huge numbers, keys that stand twice, bad UTF-8, no object."""
    refused(api.post("cart/lines/", body))
    assert not CartLine.objects.exists()


@pytest.mark.parametrize("value", NOT_QUANTITIES)
def test_quantities_that_are_none(api: Api, sku: Sku, value: Any) -> None:
    """T12, B7: at the cart, at the quote and at the order."""
    line = api.post("cart/lines/", {"sku": sku.pk, "quantity": 1}).json()

    refused(api.post("cart/lines/", {"sku": sku.pk, "quantity": value}))
    refused(api.put(f"cart/lines/{line['id']}/", {"quantity": value, "is_selected": True}))
    lines = [{"sku": sku.pk, "quantity": value}]
    refused(api.post("orders/quote/", {"lines": lines}))
    address = api.post("addresses/", ADDRESS).json()["id"]
    refused(api.place(lines=lines, address=address, payable_fen=1990))

    assert list(CartLine.objects.values_list("quantity", flat=True)) == [1]
    assert Sku.objects.get(pk=sku.pk).stock == 100


@pytest.mark.parametrize("value", [0, -1, 10**30, 2**63, "abc", 1.5, True, None])
def test_ids_that_are_none(api: Api, value: Any) -> None:
    """B7."""
    refused(api.post("cart/lines/", {"sku": value, "quantity": 1}))
    refused(api.post("orders/quote/", {"lines": [{"sku": value, "quantity": 1}]}))


@pytest.mark.parametrize("value", [-1, 10**30, 1.5, "x", True, None])
def test_amounts_that_are_none(api: Api, sku: Sku, value: Any) -> None:
    """T03, B7."""
    address = api.post("addresses/", ADDRESS).json()["id"]
    lines = [{"sku": sku.pk, "quantity": 1}]
    refused(api.place(lines=lines, address=address, payable_fen=value))


def test_ids_in_the_path_out_of_range(api: Api) -> None:
    for path in ["products/999999999999999999/", "products/99999999999999999999/", "addresses/0/"]:
        refused(api.get(path), code="not_found", status=404)


@pytest.mark.parametrize(
    "query",
    [
        "category=x", "category=-1", f"category={10**30}", "min_price_fen=-5", "ordering=id",
        "ordering=-price_fen,id", "limit=0", "limit=51", "limit=999999999999999999999", "limit=x",
        "cursor=x", "cursor=e30", "cursor=WzEsMl0x", "cursor=W251bGwsbnVsbF0", "in_stock=maybe",
        "cursor=" + "W" * 8000,
    ],
)  # fmt: skip
def test_queries_that_mean_nothing(anonymous: Api, query: str) -> None:
    """B14, B15."""
    refused(anonymous.get(f"products/?{query}"))


@pytest.mark.parametrize(
    "query", ["_connector=OR", "_negated=1", "a%22b=1", "filter[]=1", "page=10000"]
)
def test_unknown_parameters_are_ignored(anonymous: Api, query: str) -> None:
    """B15, T18."""
    assert anonymous.get(f"products/?{query}").status_code == 200


def test_nul_in_path_query_body_and_header(api: Api) -> None:
    """B5."""
    refused(api.get("products/%00/"))
    refused(api.get("products/?search=%00"))
    refused(api.post("cart/lines/", b'{"sku": "\\u0000", "quantity": 1}'))
    refused(api.post("auth/login/", b'{"platform": "wechat", "code": "a\\u0000b"}'))
    refused(api.place(key="12345678\0"))


def test_bad_utf8_in_the_query_finds_nothing(anonymous: Api) -> None:
    assert anonymous.get("products/?search=%ff%fe").json()["results"] == []


def test_lone_surrogates_are_refused(api: Api) -> None:
    """B6: they cannot be stored, nor answered in an error."""
    refused(api.post("auth/login/", b'{"platform": "\\ud800", "code": "x"}'))
    refused(api.put("me/", b'{"nickname": "\\udfff", "avatar": null}'))


def test_emoji_makes_the_round_trip(api: Api) -> None:
    """B6: four bytes of UTF-8, on every database."""
    nickname = "小明😀𠮷"
    assert api.put("me/", {"nickname": nickname, "avatar": None}).json()["nickname"] == nickname
    assert api.get("me/").json()["nickname"] == nickname
    address = api.post("addresses/", {**ADDRESS, "recipient": "𠮷田😀"}).json()
    assert Address.objects.get(pk=address["id"]).recipient == "𠮷田😀"


def test_a_large_body_is_refused_by_its_size(api: Api) -> None:
    """B2."""
    body = json.dumps({"sku": 1, "quantity": 1, "x": "x" * 2_000_000}).encode()
    refused(api.post("cart/lines/", body), code="too_large", status=413)


def test_a_body_of_unknown_length_is_refused(api: Api) -> None:
    answer = api.client.generic(
        "POST",
        "/api/v1/cart/lines/",
        headers={"Authorization": f"Bearer {api.access}", "Transfer-Encoding": "chunked"},
    )
    refused(answer, code="length_required", status=411)


@pytest.mark.parametrize("content_type", ["application/xml", "text/plain", "multipart/form-data"])
def test_other_content_types(api: Api, content_type: str) -> None:
    """B16."""
    answer = api.client.generic(
        "POST",
        "/api/v1/cart/lines/",
        b"<sku/>",
        content_type=content_type,
        headers={"Authorization": f"Bearer {api.access}"},
    )
    refused(answer, code="unsupported_media_type", status=415)


@pytest.mark.parametrize("method", ["PATCH", "TRACE"])
def test_methods_a_mini_program_cannot_send(api: Api, method: str) -> None:
    """B17."""
    assert api.call(method, "me/").status_code == 405
    forged = {"X-HTTP-Method-Override": "DELETE"}
    assert api.call("POST", "cart/", **forged).status_code == 405


def test_unknown_paths_answer_in_json(anonymous: Api) -> None:
    refused(anonymous.get("nothing/here/"), code="not_found", status=404)


def test_detail_follows_the_language(anonymous: Api) -> None:
    chinese = anonymous.get("me/").json()["detail"]
    english = anonymous.get("me/", **{"Accept-Language": "en"}).json()["detail"]

    assert english == "Please log in again."
    assert chinese == "请重新登录。"


def test_an_answer_is_json_whatever_is_asked_for(anonymous: Api) -> None:
    for accept in ("text/html", "application/xml;q=1", "*/*", "nonsense"):
        answer = anonymous.get("products/", Accept=accept)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
