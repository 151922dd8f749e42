"""The coupons desk."""

from typing import Any

import pytest
from django.urls import reverse
from django.utils.translation import override

from accounts.models import User
from orders.admin.coupons import in_words
from orders.models import ClaimedCoupon, Coupon
from orders.services.coupons import give_coupon
from tests.factories import make_coupon, make_staff

pytestmark = pytest.mark.django_db

FORM = {
    "name": "满减", "kind": "amount", "threshold_fen": "100.00", "amount_fen": "15.00",
    "percent_off": "0", "scope": "all", "source": "claim", "per_customer": "1",
    "valid_days": "30", "is_active": "on",
}  # fmt: skip


@pytest.fixture
def desk(client: Any) -> Any:
    client.force_login(make_staff())
    return client


def save(desk: Any, page: str = "add", pk: int | None = None, **change: str) -> Any:
    url = reverse(f"admin:orders_coupon_{page}", args=[pk] if pk else [])
    return desk.post(url, {**FORM, **change})


def test_staff_make_a_coupon_in_yuan(desk: Any) -> None:
    assert save(desk).status_code == 302
    coupon = Coupon.objects.get()
    assert (coupon.threshold_fen, coupon.amount_fen, coupon.code) == (10_000, 1500, None)
    # A second one without a code is no double.
    assert save(desk).status_code == 302


@pytest.mark.parametrize(
    "change",
    [{"amount_fen": "0"}, {"percent_off": "120"}, {"valid_days": ""}, {"source": "code"},
     {"source": "code", "code": "spring"}, {"amount_fen": "1.999"}, {"quota": "-1"}],
)  # fmt: skip
def test_terms_that_mean_nothing_are_explained(desk: Any, change: dict[str, str]) -> None:
    answer = save(desk, **change)
    assert "errorlist" in answer.content.decode()
    assert not Coupon.objects.exists()


def test_what_somebody_holds_keeps_its_promise(desk: Any, customer: User) -> None:
    coupon = make_coupon(off=500, quota=5)
    give_coupon(coupon, customer)
    save(desk, "change", coupon.pk, amount_fen="1.00", name="新名", quota="3")
    coupon.refresh_from_db()
    assert (coupon.amount_fen, coupon.name, coupon.quota) == (500, "新名", 3)
    assert "errorlist" in save(desk, "change", coupon.pk, quota="0").content.decode()
    assert desk.post(reverse("admin:orders_coupon_delete", args=[coupon.pk])).status_code == 403


def test_staff_give_one(desk: Any, customer: User) -> None:
    coupon = make_coupon(source="staff")
    page = reverse("admin:orders_claimedcoupon_add")
    desk.post(page, {"coupon": coupon.pk, "user": customer.pk})
    claimed = ClaimedCoupon.objects.get()
    assert (claimed.user_id, claimed.nth) == (customer.pk, 1)
    again = desk.post(page, {"coupon": coupon.pk, "user": customer.pk}, follow=True)
    assert [message.level_tag for message in again.context["messages"]][-1] == "error"
    assert ClaimedCoupon.objects.count() == 1


def test_only_to_customers_and_only_with_the_permission(client: Any, customer: User) -> None:
    staff = make_staff()
    coupon = make_coupon(source="staff")
    page = reverse("admin:orders_claimedcoupon_add")
    client.force_login(staff)
    assert (
        "errorlist" in client.post(page, {"coupon": coupon.pk, "user": staff.pk}).content.decode()
    )
    client.force_login(make_staff(username="clerk", is_superuser=False))
    assert client.post(page, {"coupon": coupon.pk, "user": customer.pk}).status_code == 403
    assert not ClaimedCoupon.objects.exists()


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({"threshold_fen": 10000, "amount_fen": 2000}, "满 100 元减 20 元，每人 1 张"),
        (
            {"kind": "percent", "percent_off": 5, "max_discount_fen": 1990, "per_customer": 3},
            "减 5%，最多减 19.90 元，每人 3 张",
        ),
        ({"kind": "freight"}, "免运费，每人 1 张"),
    ],
)
def test_a_coupon_is_told_in_words(terms: dict[str, Any], words: str) -> None:
    with override("zh-hans"):
        assert in_words(Coupon(**terms)) == words


def test_the_page_says_how_often_it_was_used(desk: Any, customer: User) -> None:
    coupon = make_coupon()
    claimed = give_coupon(coupon, customer)
    ClaimedCoupon.objects.filter(pk=claimed.pk).update(used_at=claimed.claimed_at)
    link = f"{reverse('admin:orders_claimedcoupon_changelist')}?coupon__id__exact={coupon.pk}"
    page = desk.get(reverse("admin:orders_coupon_change", args=[coupon.pk])).content.decode()
    assert f'<a href="{link}">1</a>' in page
    assert desk.get(link).context["cl"].result_count == 1
    assert desk.get(reverse("admin:orders_coupon_add")).status_code == 200
