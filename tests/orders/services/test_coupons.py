"""Coupons: got once, used once, taken off exactly, given back."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts.models import User
from catalog.models import Sku
from orders.models import ClaimedCoupon, Coupon, Order
from orders.services.audit import audit
from orders.services.coupons import CouponLimit, CouponsGone, give_coupon
from tests.conftest import Api
from tests.factories import (
    make_address,
    make_category,
    make_claim,
    make_coupon,
    make_customer,
    make_product,
    make_sku,
)
from tests.threads import together

pytestmark = pytest.mark.django_db


@pytest.fixture
def address(customer: User) -> int:
    return make_address(customer).pk


def lines(*wanted: tuple[Sku, int]) -> list[dict[str, int]]:
    return [{"sku": sku.pk, "quantity": quantity} for sku, quantity in wanted]


def clean() -> bool:
    return [failure for _rule, failure in audit() if failure] == []


# Using


def test_a_coupon_is_taken_off_and_spread(api: Api, customer: User, address: int) -> None:
    product = make_product()
    skus = [make_sku(product=product, price_fen=fen) for fen in (1000, 1000, 1000)]
    claimed = make_claim(customer, off=100)
    body = {"lines": lines(*[(sku, 1) for sku in skus]), "address": address, "coupon": claimed.pk}
    quote = api.post("orders/quote/", body).json()
    assert (quote["discount_fen"], quote["payable_fen"], quote["problems"]) == (100, 2900, [])

    order = api.place(**body, payable_fen=2900).json()
    assert [line["discount_fen"] for line in order["lines"]] == [34, 33, 33]
    claimed.refresh_from_db()
    assert claimed.used_at
    assert clean()


def test_a_coupon_is_used_once(api: Api, sku: Sku, customer: User, address: int) -> None:
    """T09."""
    claimed = make_claim(customer, off=100)
    body = {"lines": lines((sku, 1)), "address": address, "coupon": claimed.pk, "payable_fen": 1890}
    assert api.place("key-00000001", **body).status_code == 201
    answer = api.place("key-00000002", **body)
    assert (answer.status_code, answer.json()["code"]) == (409, "coupon_not_usable")
    assert answer.json()["reason"] == "used"
    assert Order.objects.count() == 1
    assert Sku.objects.get().stock == 99
    quote = api.post("orders/quote/", {**body, "payable_fen": None}).json()
    assert quote["problems"] == [
        {"code": "coupon_not_usable", "coupon": claimed.pk, "reason": "used"}
    ]


def test_a_coupon_of_somebody_else_is_not_there(
    api: Api, sku: Sku, stranger: User, address: int
) -> None:
    """T11."""
    theirs = make_claim(stranger)
    for coupon in (theirs.pk, 999_999):
        body = {"lines": lines((sku, 1)), "address": address, "coupon": coupon}
        assert api.post("orders/quote/", body).status_code == 404
        assert api.place(**body, payable_fen=1490).status_code == 404
    theirs.refresh_from_db()
    assert theirs.used_at is None
    assert not Order.objects.exists()


def test_a_coupon_larger_than_the_order(api: Api, sku: Sku, customer: User, address: int) -> None:
    """T10: never less than nothing; nothing to pay is paid at once."""
    claimed = make_claim(customer, off=100_000)
    body = {"lines": lines((sku, 1)), "address": address, "coupon": claimed.pk}
    assert api.post("orders/quote/", body).json()["payable_fen"] == 0
    order = api.place(**body, payable_fen=0).json()
    assert (order["discount_fen"], order["status"]) == (1990, "paid")
    assert clean()
    api.post(f"orders/{order['number']}/cancel/", {})
    claimed.refresh_from_db()
    assert claimed.used_at is None
    assert clean()


def test_cancelling_gives_the_coupon_back_once(
    api: Api, sku: Sku, customer: User, address: int
) -> None:
    """C12, T15: and it can be used again, also while the cancelled order still names it."""
    claimed = make_claim(customer, off=100)
    body = {"lines": lines((sku, 1)), "address": address, "coupon": claimed.pk, "payable_fen": 1890}
    first = api.place("key-00000001", **body).json()["number"]
    api.post(f"orders/{first}/cancel/", {})
    assert api.place("key-00000002", **body).status_code == 201
    api.post(f"orders/{first}/cancel/", {})
    claimed.refresh_from_db()
    assert claimed.used_at
    assert clean()


def test_an_order_that_fails_keeps_the_coupon(
    api: Api, sku: Sku, customer: User, address: int
) -> None:
    claimed = make_claim(customer, off=100)
    body = {"lines": lines((sku, 1)), "address": address, "coupon": claimed.pk}
    assert api.place(**body, payable_fen=1889).json()["code"] == "price_changed"
    body["lines"] = lines((sku, 101))
    assert api.place(**body, payable_fen=1).json()["code"] == "out_of_stock"
    claimed.refresh_from_db()
    assert claimed.used_at is None


def test_a_quote_lists_coupons_usable_and_best_first(
    api: Api, customer: User, sku: Sku, address: int
) -> None:
    other = make_category(name="水果")
    today = timezone.localdate()
    claims = {
        "far": make_claim(customer, off=900, threshold_fen=10_000),
        "small": make_claim(customer, off=100),
        "elsewhere": make_claim(customer, off=300, scope="categories", categories=[other]),
        "tomorrow": make_claim(
            customer, valid_days=None, starts_on=today + timedelta(1), ends_on=today + timedelta(2)
        ),
        "fifth": make_claim(customer, off=0, kind="percent", percent_off=20),
        "freight": make_claim(customer, off=0, kind="freight"),
    }
    body = {"lines": lines((sku, 1)), "address": address}
    listed = api.post("orders/quote/", body).json()["coupons"]
    names = {claim.pk: name for name, claim in claims.items()}
    assert [(names[row["id"]], row["saves_fen"], row["reason"]) for row in listed] == [
        ("fifth", 398, ""),
        ("small", 100, ""),
        ("tomorrow", 0, "not_yet_valid"),
        ("far", 0, "below_threshold"),
        ("elsewhere", 0, "out_of_scope"),
        ("freight", 0, "no_freight"),
    ]


def test_scopes_reach_below_and_only_there(api: Api, customer: User, address: int) -> None:
    food = make_category(name="食品")
    tea = make_category(name="绿茶", parent=food)
    inside = make_sku(product=make_product(category=tea), price_fen=1000)
    outside = make_sku(product=make_product(), price_fen=1000)
    for scope, rows in {"categories": [food], "products": [inside.product]}.items():
        claimed = make_claim(customer, off=5000, scope=scope, **{scope: rows})
        body = {"lines": lines((outside, 1), (inside, 1)), "address": address, "coupon": claimed.pk}
        quote = api.post("orders/quote/", body).json()
        assert quote["payable_fen"] == 1000
    order = api.place(**body, payable_fen=1000).json()
    assert {line["sku"]: line["discount_fen"] for line in order["lines"]} == {
        inside.pk: 1000, outside.pk: 0,
    }  # fmt: skip


# Getting


def test_claiming(api: Api, customer: User) -> None:
    coupon = make_coupon(quota=1)
    listed = api.get("coupons/").json()["results"]
    assert [(row["id"], row["left"], row["may_claim"]) for row in listed] == [(coupon.pk, 1, True)]
    answer = api.post(f"coupons/{coupon.pk}/claim/")
    assert (answer.status_code, answer.json()["state"]) == (201, "usable")
    again = api.post(f"coupons/{coupon.pk}/claim/")
    assert (again.status_code, again.json()["code"]) == (409, "coupons_gone")
    assert not api.get("coupons/").json()["results"][0]["may_claim"]
    assert [row["id"] for row in api.get("coupons/mine/").json()["results"]] == [
        ClaimedCoupon.objects.get().pk
    ]
    Coupon.objects.update(quota=None)
    assert api.post(f"coupons/{coupon.pk}/claim/").json()["code"] == "coupon_limit"
    Coupon.objects.update(is_active=False)
    assert api.post(f"coupons/{coupon.pk}/claim/").json()["code"] == "coupon_ended"
    assert api.post("coupons/999999/claim/").status_code == 404
    assert clean()


@pytest.mark.parametrize("source", ["code", "staff", "first_login"])
def test_only_what_is_there_to_be_claimed(api: Api, source: str) -> None:
    coupon = make_coupon(source=source, code="SPRING2026" if source == "code" else None)
    assert api.post(f"coupons/{coupon.pk}/claim/").status_code == 404
    assert api.get("coupons/").json()["results"] == []


@pytest.mark.parametrize("typed", ["SPRING2026", " spring2026 ", "ＳＰＲＩＮＧ２０２６"])
def test_a_code_in_any_width_and_case(api: Api, typed: str) -> None:
    """B8."""
    make_coupon(source="code", code="SPRING2026")
    assert api.post("coupons/redeem/", {"code": typed}).status_code == 201


@pytest.mark.parametrize(
    "typed", ["SPRING2027", "SPRING202", "ЅPRING2026", "' OR 1=1", "x" * 65, ""]
)
def test_other_codes_give_nothing(api: Api, typed: str) -> None:
    """B8: a Cyrillic letter is another letter."""
    make_coupon(source="code", code="SPRING2026")
    assert api.post("coupons/redeem/", {"code": typed}).status_code in {400, 404}
    assert not ClaimedCoupon.objects.exists()


def test_codes_cannot_be_guessed_for_long(api: Api) -> None:
    """A11."""
    answers = [api.post("coupons/redeem/", {"code": f"GUESS{n:04d}"}) for n in range(12)]
    assert [answer.status_code for answer in answers] == [404] * 10 + [429] * 2
    assert answers[-1].headers["Retry-After"] == "60"


def test_new_customers_find_their_coupon_once(api: Api, customer: User) -> None:
    make_coupon(source="first_login", name="老")
    late = make_customer(openid="o-late")
    mine = Api(late)
    for _twice in range(2):
        assert [row["name"] for row in mine.get("coupons/mine/").json()["results"]] == ["老"]
    # Whoever was there before the offer is not new.
    assert api.get("coupons/mine/").json()["results"] == []
    assert clean()


def test_states(api: Api, customer: User) -> None:
    used, over, good = (make_claim(customer) for _ in range(3))
    ClaimedCoupon.objects.filter(pk=over.pk).update(valid_until=timezone.now())
    for state, claim in {"expired": over, "usable": good}.items():
        rows = api.get(f"coupons/mine/?state={state}").json()["results"]
        assert claim.pk in {row["id"] for row in rows}
        assert {row["state"] for row in rows} == {state}
    assert api.get("coupons/mine/?state=used").json()["results"] == []
    assert api.get("coupons/mine/?state=x").status_code == 400
    assert used.used_at is None


# Days are Shanghai's


def at(moment: str) -> Any:
    return time_machine.travel(datetime.fromisoformat(moment), tick=False)


def test_the_last_second_of_the_last_day(api: Api, customer: User, sku: Sku, address: int) -> None:
    """D7: it ends at 23:59:59 in Shanghai, whatever the day is in UTC."""
    with at("2026-11-01T12:00:00+08:00"):
        claimed = make_claim(customer, off=100, valid_days=None, ends_on=date(2026, 11, 30))
    body = {"lines": lines((sku, 1)), "address": address, "coupon": claimed.pk}
    token = api.access
    for moment, payable in (
        ("2026-11-30T23:59:59+08:00", 1890),
        ("2026-12-01T00:00:00+08:00", 1990),
    ):
        with at(moment):
            fresh = Api(customer)
            assert fresh.post("orders/quote/", body).json()["payable_fen"] == payable
    assert token


def test_days_from_the_claim_end_with_a_day(customer: User) -> None:
    """D7: claimed late in the evening (UTC: the same day) or after midnight (UTC: the day before)."""
    coupon = make_coupon(valid_days=7, per_customer=2)
    ends = []
    for moment in ("2026-11-01T23:59:59+08:00", "2026-11-02T00:00:00+08:00"):
        with at(moment):
            ends.append(timezone.localtime(give_coupon(coupon, customer).valid_until).isoformat())
    assert ends == ["2026-11-09T00:00:00+08:00", "2026-11-10T00:00:00+08:00"]


def test_an_offer_runs_until_the_end_of_its_last_day(api: Api) -> None:
    make_coupon(valid_days=None, ends_on=date(2026, 11, 30))
    for moment, count in (("2026-11-30T23:59:59+08:00", 1), ("2026-12-01T00:00:00+08:00", 0)):
        with at(moment):
            listed = Api(make_customer()).get("coupons/").json()["results"]
            assert len(listed) == count


@pytest.mark.parametrize(
    "wrong",
    [
        {"off": 0}, {"kind": "percent"}, {"kind": "percent", "off": 0, "percent_off": 101},
        {"kind": "freight"}, {"valid_days": None}, {"starts_on": date(2030, 1, 1)},
        {"ends_on": date(2030, 1, 1)},
        {"valid_days": None, "starts_on": date(2030, 1, 2), "ends_on": date(2030, 1, 1)},
        {"code": "SPRING2026"}, {"source": "code"}, {"source": "code", "code": "short"},
        {"source": "code", "code": "spring2026"}, {"per_customer": 0},
    ],
)  # fmt: skip
def test_terms_that_mean_nothing_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make_coupon(**wrong)


# At once


@pytest.mark.django_db(transaction=True)
def test_one_coupon_in_many_orders_at_once() -> None:
    """C8, T09."""
    user = make_customer()
    api, sku, claimed = Api(user), make_sku(), make_claim(user, off=100)
    body = {"lines": lines((sku, 1)), "address": make_address(user).pk, "coupon": claimed.pk}
    answers = together(
        [
            lambda n=n: api.place(f"key-{n:08d}", **body, payable_fen=1890).status_code
            for n in range(20)
        ]
    )
    assert sorted(answers) == [201] + [409] * 19
    assert Sku.objects.get().stock == 99
    assert clean()


@pytest.mark.django_db(transaction=True)
def test_a_quota_and_a_limit_hold_at_once() -> None:
    """C9."""
    coupon = make_coupon(quota=5)
    people = [make_customer() for _ in range(8)]
    outcomes = together([lambda user=user: give_coupon(coupon, user) for user in people * 2])
    given = [row for row in outcomes if isinstance(row, ClaimedCoupon)]
    assert len(given) == 5
    assert len({row.user_id for row in given}) == 5
    refusals = {type(row) for row in outcomes} - {ClaimedCoupon}
    assert refusals <= {CouponsGone, CouponLimit}
    coupon.refresh_from_db()
    assert coupon.claimed_count == 5


# Bounded


@pytest.mark.parametrize("count", [1, 100])
def test_queries_with_a_hundred_lines_and_fifty_coupons(
    api: Api, customer: User, address: int, django_assert_num_queries: Any, count: int
) -> None:
    tea = make_category()
    product = make_product(category=tea)
    scopes = [
        {},
        {"scope": "categories", "categories": [tea]},
        {"scope": "products", "products": [product]},
    ]
    claims = [make_claim(customer, off=100, **scopes[n % 3]) for n in range(max(count // 2, 3))]
    claimed = claims[1]
    wanted = lines(*[(make_sku(product=product), 1) for _ in range(count)])
    body = {"lines": wanted, "address": address, "coupon": claimed.pk}
    # Session, SKUs, address; new customers' coupons, own coupons, two scopes and the tree.
    with django_assert_num_queries(8):
        quote = api.post("orders/quote/", body).json()
    assert quote["payable_fen"] == 1990 * count - 100
    assert len(quote["coupons"]) == max(count // 2, 3)
    # One UPDATE a SKU; the rest is the same however many lines there are.
    with django_assert_num_queries(15 + count):
        assert api.place(**body, payable_fen=quote["payable_fen"]).status_code == 201


def test_queries_of_the_lists(api: Api, customer: User, django_assert_num_queries: Any) -> None:
    for count in (1, 9):
        for _ in range(count):
            give_coupon(make_coupon(), customer)
        # The session and the page; for one's own also the offers to new customers.
        with django_assert_num_queries(2):
            assert api.get("coupons/").status_code == 200
        with django_assert_num_queries(3):
            assert len(api.get("coupons/mine/").json()["results"]) >= count


def test_a_new_customer_is_welcomed_by_the_quote_too(api: Api, sku: Sku) -> None:
    make_coupon(source="first_login", off=100)
    late = make_customer(openid="o-late")
    quote = Api(late).post("orders/quote/", {"lines": lines((sku, 1))}).json()
    assert [row["saves_fen"] for row in quote["coupons"]] == [100]
