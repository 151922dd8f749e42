"""Idempotency-Key at every endpoint that creates: sent twice is done once."""

import io
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

from accounts.models import Address, User
from catalog.models import Review
from catalog.services.reviews import write_review
from miniback.core.models import IdempotencyKey, Upload
from orders.models import (
    CartLine,
    ClaimedCoupon,
    Coupon,
    MessageConsent,
    MessageKind,
    MessageTemplate,
    Order,
    Refund,
)
from tests.conftest import Api
from tests.factories import (
    ADDRESS,
    make_access,
    make_address,
    make_coupon,
    make_customer,
    make_order,
    make_sku,
    pay,
)
from tests.sandbox_process import SandboxProcess
from tests.threads import together

pytestmark = pytest.mark.django_db(transaction=True)

KEY = "key-of-a-tap"


class Case(NamedTuple):
    """A request, the same with another body, and how much there is of what it makes."""

    path: str
    body: Any
    other: Any
    count: Callable[[], int]
    status: int = 201


def picture(colour: int = 200) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (6, 4), (colour, 30, 30)).save(buffer, "JPEG")
    return buffer.getvalue()


def paid_order(user: User, **more: Any) -> Order:
    return pay(make_order(user, quantity=2, **more))


def refund(user: User) -> Case:
    order = paid_order(user)
    body = {"lines": [{"line": order.lines.get().pk, "quantity": 1}], "kind": "refund_only"}
    body["reason"] = "不想要了"
    other = {**body, "reason": "大了"}
    return Case(f"orders/{order.number}/refunds/", body, other, Refund.objects.count)


def claim(user: User) -> Case:
    coupon = make_coupon(per_customer=3)
    path = f"coupons/{coupon.pk}/claim/"
    return Case(path, {}, {"x": 1}, ClaimedCoupon.objects.count)


def redeem(user: User) -> Case:
    make_coupon(per_customer=3, source="code", code="SPRING")
    make_coupon(per_customer=3, source="code", code="AUTUMN")
    body, other = {"code": "SPRING"}, {"code": "AUTUMN"}
    return Case("coupons/redeem/", body, other, ClaimedCoupon.objects.count)


def cart_line(user: User) -> Case:
    sku = make_sku().pk

    def pieces() -> int:
        return sum(CartLine.objects.values_list("quantity", flat=True))

    body, other = {"sku": sku, "quantity": 1}, {"sku": sku, "quantity": 2}
    return Case("cart/lines/", body, other, pieces)


def address(user: User) -> Case:
    make_address(user)

    def added() -> int:
        return Address.objects.count() - 1

    return Case("addresses/", ADDRESS, {**ADDRESS, "recipient": "王芳"}, added)


def review(user: User) -> Case:
    order = make_order(user, status="completed")
    one = {"line": order.lines.get().pk, "rating": 5, "text": "很香"}
    body, other = {"reviews": [one]}, {"reviews": [{**one, "rating": 1}]}
    return Case(f"orders/{order.number}/reviews/", body, other, Review.objects.count)


def follow_up(user: User) -> Case:
    order = make_order(user, status="completed")
    line = order.lines.get()
    written = write_review(
        user, product_id=line.product_id, sku_id=line.sku_id, reference=f"{order.number}:{line.pk}",
        rating=5, text="很香", images=[], is_anonymous=False,
    )  # fmt: skip
    path = f"reviews/{written.pk}/follow-up/"
    count = Review.objects.exclude(followed_up_at=None).count
    return Case(path, {"text": "好茶"}, {"text": "坏茶"}, count, status=200)


def consents(user: User) -> Case:
    for kind in (MessageKind.PAID, MessageKind.SHIPPED):
        MessageTemplate.objects.update_or_create(
            kind=kind,
            defaults={"template_id": f"{kind}-0123456789", "fields": {"thing1": "goods"}},
        )

    def agreed() -> int:
        return sum(MessageConsent.objects.values_list("count", flat=True))

    body, other = [{"template_ids": [f"{kind}-0123456789"]} for kind in ("paid", "shipped")]
    return Case("messages/consents/", body, other, agreed, status=204)


CASES = [refund, claim, redeem, cart_line, address, review, follow_up, consents]
IN_JSON = pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)


@pytest.fixture(autouse=True)
def _platforms(sandbox: SandboxProcess) -> None:
    """An order that is paid has its payment at a platform."""


@pytest.fixture
def buyer() -> User:
    return make_customer(openid="o-buyer")


@pytest.fixture
def api(buyer: User) -> Api:
    return Api(buyer)


def send(api: Api, path: str, body: Any, key: str = KEY) -> Any:
    return api.post(path, body, **{"Idempotency-Key": key})


@IN_JSON
def test_a_repeat_makes_nothing_and_answers_the_same(
    api: Api, buyer: User, make: Callable[[User], Case]
) -> None:
    case = make(buyer)
    first, again = (send(api, case.path, case.body) for _n in range(2))

    assert (first.status_code, again.status_code) == (case.status, case.status), first.content
    assert first.content == again.content
    assert case.count() == 1


@IN_JSON
def test_a_key_for_another_body_is_refused(
    api: Api, buyer: User, make: Callable[[User], Case]
) -> None:
    case = make(buyer)
    send(api, case.path, case.body)
    answer = send(api, case.path, case.other)

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_mismatch")
    assert case.count() == 1


@IN_JSON
def test_a_key_of_another_endpoint_is_refused(
    api: Api, buyer: User, make: Callable[[User], Case]
) -> None:
    case = make(buyer)
    sku = make_sku()
    send(api, "cart/lines/", {"sku": sku.pk, "quantity": 3})
    before = case.count()
    answer = send(api, case.path, case.body)

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_mismatch")
    assert case.count() == before


def test_a_key_is_good_for_one_path(api: Api) -> None:
    """The bodies are the same; what is asked for stands in the path."""
    one, other = make_coupon(), make_coupon()
    assert send(api, f"coupons/{one.pk}/claim/", {}).status_code == 201
    answer = send(api, f"coupons/{other.pk}/claim/", {})

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_mismatch")
    assert ClaimedCoupon.objects.get().coupon == one


@IN_JSON
def test_parallel_doubles_are_done_once(buyer: User, make: Callable[[User], Case]) -> None:
    case, access = make(buyer), make_access(buyer)
    answers = together([lambda: send(Api(access=access), case.path, case.body) for _n in range(4)])

    assert [answer.status_code for answer in answers] == [case.status] * 4
    assert len({answer.content for answer in answers}) == 1
    assert case.count() == 1


@IN_JSON
def test_a_bad_key_is_refused(api: Api, buyer: User, make: Callable[[User], Case]) -> None:
    case = make(buyer)
    answer = send(api, case.path, case.body, key="short")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert "Idempotency-Key" in answer.json()["fields"]
    assert case.count() == 0


@pytest.mark.parametrize(
    "make", [make for make in CASES if make is not refund], ids=lambda make: make.__name__
)
def test_elsewhere_a_key_is_optional(api: Api, buyer: User, make: Callable[[User], Case]) -> None:
    case = make(buyer)
    assert api.post(case.path, case.body).status_code == case.status
    assert not IdempotencyKey.objects.exists()


def test_a_refund_needs_a_key(api: Api, buyer: User) -> None:
    case = refund(buyer)
    answer = api.post(case.path, case.body)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert list(answer.json()["fields"]) == ["Idempotency-Key"]
    assert case.count() == 0


def test_another_customer_may_have_the_same_key(api: Api, buyer: User) -> None:
    case = claim(buyer)
    assert send(api, case.path, case.body).status_code == 201
    assert send(Api(make_customer()), case.path, case.body).status_code == 201
    assert Coupon.objects.get().claimed_count == 2


@pytest.mark.parametrize("make", [cart_line, address], ids=lambda make: make.__name__)
def test_a_repeat_of_what_was_deleted_is_not_found(
    api: Api, buyer: User, make: Callable[[User], Case]
) -> None:
    case = make(buyer)
    made = send(api, case.path, case.body).json()["id"]
    assert api.delete(f"{case.path}{made}/").status_code == 204

    for _n in range(2):
        answer = send(api, case.path, case.body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert case.count() == 0


def test_a_repeat_shows_the_refund_as_it_is_now(api: Api, buyer: User) -> None:
    case = refund(buyer)
    number = send(api, case.path, case.body).json()["number"]
    assert api.post(f"refunds/{number}/withdraw/").status_code == 200

    assert send(api, case.path, case.body).json()["status"] == "withdrawn"
    assert case.count() == 1


# Uploads: multipart, and a file beside the row.


def upload(api: Api, content: bytes, *, key: str = KEY, purpose: str = "avatar") -> Any:
    file = SimpleUploadedFile("a.jpg", content, content_type="image/jpeg")
    headers = {"Authorization": f"Bearer {api.access}", "Idempotency-Key": key}
    return api.client.post("/api/v1/uploads/", {"file": file, "purpose": purpose}, headers=headers)


def stored() -> int:
    """How many files of uploads lie in the storage."""
    if not default_storage.exists("uploads"):
        return 0
    folders, _files = default_storage.listdir("uploads")
    return sum(len(default_storage.listdir(f"uploads/{folder}")[1]) for folder in folders)


def test_an_upload_sent_twice_is_kept_once(api: Api) -> None:
    before = stored()
    first, again = upload(api, picture()), upload(api, picture())

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert (Upload.objects.count(), stored() - before) == (1, 1)


def test_another_picture_or_purpose_is_a_mismatch(api: Api) -> None:
    upload(api, picture())
    before = stored()
    for answer in (upload(api, picture(90)), upload(api, picture(), purpose="review")):
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_mismatch")
    assert (Upload.objects.count(), stored()) == (1, before)


def test_uploads_sent_at_once_leave_one_file(buyer: User) -> None:
    access, before = make_access(buyer), stored()
    answers = together([lambda: upload(Api(access=access), picture()) for _n in range(4)])

    assert [answer.status_code for answer in answers] == [201] * 4
    assert (Upload.objects.count(), stored() - before) == (1, 1)


def test_a_refused_upload_leaves_no_file(api: Api) -> None:
    before = stored()
    assert upload(api, picture(), key="short").status_code == 400
    assert (Upload.objects.count(), stored()) == (0, before)
