"""Everything that writes, as its callers call it: the API, the back office, the jobs.

Each entry makes a situation of its own and returns one try; a try that the database broke off is
repeated as a client, a member of staff or the next run of a job would.
"""

import io
import itertools
import re
import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import Error
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from PIL import Image

from accounts.models import Customer, Platform, User
from accounts.services.sessions import start_session
from catalog.models import Product, ProductStatus, Review
from catalog.services.bulk import change_task, many_task
from catalog.services.products import publish_due_products
from catalog.services.sheets import import_task
from miniback.core.errors import Conflict
from miniback.core.models import Task, TaskKind
from miniback.core.tasks import prepare_task
from miniback.platforms.contract import Login, PlatformRefund
from orders.models import (
    Carrier,
    Coupon,
    MessageKind,
    MessageTemplate,
    Notice,
    Order,
    Payment,
    Refund,
)
from orders.services.after_sales import request_refund
from orders.services.cancellation import cancel_order
from orders.services.cart import add_to_cart
from orders.services.daily import compute_day
from orders.services.fulfillment import confirm_receipt, ship_order
from orders.services.notices import process_due_notices, receive_notice
from orders.services.refund_decisions import approve_refund
from orders.services.refunds import record_refund, send_due_refunds
from orders.services.reviews import review_order
from orders.services.settlement import check_payment
from orders.services.sheets import ship_sheet
from orders.status import Actor, RefundKind, RefundStatus
from tests import notices
from tests.conftest import Api
from tests.factories import (
    ADDRESS,
    make_address,
    make_category,
    make_claim,
    make_coupon,
    make_customer,
    make_order,
    make_product,
    make_sku,
    make_staff,
    pay,
)
from tests.forms import page_as_opened
from tests.sandbox_process import SandboxProcess, until

serial = itertools.count()
Act = Callable[[], Any]
Situation = Callable[[SandboxProcess], Act]
TRIES = 4


def insist(act: Act) -> Any:
    """Repeat what the database broke off, as whoever called would."""
    for _try in range(TRIES):
        try:
            answer = act()
        except Error:
            continue
        if getattr(answer, "status_code", 200) != 503:
            return answer
    raise AssertionError("it is never answered")


# Who calls


def call(user: User, method: str, path: str, body: Any = None) -> Act:
    """A customer's client, which keeps its key."""
    key = {"Idempotency-Key": uuid.uuid4().hex}
    return partial(Api(user).call, method, path, body, **key)


def fill_in(view: str, args: list[Any] | None = None, at: str = "", **form: Any) -> Act:
    """A member of staff who opens a page, fills in its form and sends it."""
    clerk = Client()
    clerk.force_login(make_staff(username=f"clerk-{next(serial)}"))
    url = reverse(f"admin:{view}", args=args)
    page = clerk.get(at or url).content.decode()
    keys = re.findall(r'name="once" value="(\w+)"', page)
    # The last form: pages put their own behind those that all pages have.
    return partial(clerk.post, url, {**form, "once": keys[-1]})


def run_job(act: Act) -> Act:
    """A job, whose next run meets what the last one left."""

    def run() -> None:
        try:
            act()
        except Conflict:
            # Somebody has moved it: the run before, whose answer was lost.
            return

    return run


def run_task(task: Task, handler: Callable[[Task], Any]) -> Act:
    """A task, begun again from the start after it was broken off."""
    return lambda: list(handler(Task.objects.get(pk=task.pk)))


# Situations


def buyer() -> User:
    return make_customer(openid=f"o-buyer-{next(serial)}")


def carrier() -> Carrier:
    return Carrier.objects.get_or_create(code="SF", defaults={"name": "顺丰速运"})[0]


def unpaid(**more: Any) -> Order:
    return make_order(buyer(), quantity=2, **more)


def paid() -> Order:
    return pay(unpaid())


def shipped() -> Order:
    order = paid()
    ship_order(order, carrier=carrier(), tracking_number="SF123456", user=None)
    order.refresh_from_db()
    return order


def completed() -> Order:
    order = confirm_receipt(shipped(), actor=Actor.CUSTOMER)
    order.refresh_from_db()
    return order


def asked(order: Order, kind: RefundKind = RefundKind.REFUND_ONLY) -> Refund:
    line = order.lines.get().pk
    return request_refund(order, quantities={line: 1}, kind=kind, reason="不想要了")


def returning() -> Refund:
    return approved_refund(asked(shipped(), RefundKind.RETURN))


def approved_refund(refund: Refund) -> Refund:
    return approve_refund(refund, user=make_staff(username=f"yes-{next(serial)}"))


def owed() -> Refund:
    return approved_refund(asked(paid()))


def reviewed() -> Review:
    order = completed()
    one = {"line": order.lines.get().pk, "rating": 5, "text": "好", "images": []}
    [written] = review_order(order, reviews=[{**one, "is_anonymous": False}], user=order.user)
    return written


# The API


def place(_sandbox: SandboxProcess) -> Act:
    user, sku = buyer(), make_sku()
    body = {"lines": [{"sku": sku.pk, "quantity": 2}], "payable_fen": 2 * sku.price_fen - 500}
    body |= {"address": make_address(user).pk, "coupon": make_claim(user).pk}
    return call(user, "POST", "orders/", body)


def place_from_cart(_sandbox: SandboxProcess) -> Act:
    user, sku = buyer(), make_sku()
    add_to_cart(user, sku_id=sku.pk, quantity=2)
    body = {"from_cart": True, "payable_fen": 2 * sku.price_fen}
    return call(user, "POST", "orders/", {**body, "address": make_address(user).pk})


def start_payment(sandbox: SandboxProcess) -> Act:
    return start(sandbox, unpaid())


def start(sandbox: SandboxProcess, order: Order) -> Act:
    # The platform knows who has logged in.
    sandbox.code(order.user.identities.get().openid)
    return call(order.user, "POST", f"orders/{order.number}/pay/", {"channel": "wechat"})


def cancel(_sandbox: SandboxProcess) -> Act:
    order = unpaid()
    return call(order.user, "POST", f"orders/{order.number}/cancel/", {"reason": "x"})


def confirm(_sandbox: SandboxProcess) -> Act:
    order = shipped()
    return call(order.user, "POST", f"orders/{order.number}/confirm-receipt/")


def hide(_sandbox: SandboxProcess) -> Act:
    order = completed()
    return call(order.user, "DELETE", f"orders/{order.number}/")


def ask_refund(_sandbox: SandboxProcess) -> Act:
    order = paid()
    lines = [{"line": order.lines.get().pk, "quantity": 1}]
    body = {"lines": lines, "kind": "refund_only", "reason": "不想要了"}
    return call(order.user, "POST", f"orders/{order.number}/refunds/", body)


def withdraw(_sandbox: SandboxProcess) -> Act:
    refund = asked(paid())
    return call(refund.payment.order.user, "POST", f"refunds/{refund.number}/withdraw/")


def return_parcel(_sandbox: SandboxProcess) -> Act:
    refund = returning()
    path = f"refunds/{refund.number}/return-parcel/"
    body = {"carrier": "顺丰速运", "tracking_number": "SF7654321"}
    return call(refund.payment.order.user, "POST", path, body)


def review(_sandbox: SandboxProcess) -> Act:
    order = completed()
    one = {"line": order.lines.get().pk, "rating": 5, "text": "很香"}
    return call(order.user, "POST", f"orders/{order.number}/reviews/", {"reviews": [one]})


def follow_up(_sandbox: SandboxProcess) -> Act:
    written = reviewed()
    return call(written.user, "POST", f"reviews/{written.pk}/follow-up/", {"text": "好茶"})


def claim(_sandbox: SandboxProcess) -> Act:
    coupon = make_coupon(per_customer=5, quota=9)
    return call(buyer(), "POST", f"coupons/{coupon.pk}/claim/", {})


def redeem(_sandbox: SandboxProcess) -> Act:
    code = f"CODE{next(serial)}"
    make_coupon(per_customer=5, source="code", code=code)
    return call(buyer(), "POST", "coupons/redeem/", {"code": code})


def welcome(_sandbox: SandboxProcess) -> Act:
    Coupon.objects.filter(source="first_login").update(is_active=False)
    make_coupon(source="first_login")
    return call(buyer(), "GET", "coupons/mine/?state=usable")


def add_line(_sandbox: SandboxProcess) -> Act:
    user, sku = buyer(), make_sku()
    add_to_cart(user, sku_id=sku.pk, quantity=2)
    return call(user, "POST", "cart/lines/", {"sku": sku.pk, "quantity": 3})


def change_line(_sandbox: SandboxProcess) -> Act:
    user = buyer()
    line = add_to_cart(user, sku_id=make_sku().pk, quantity=2)
    return call(user, "PUT", f"cart/lines/{line.pk}/", {"quantity": 5, "is_selected": False})


def remove_line(_sandbox: SandboxProcess) -> Act:
    user = buyer()
    line = add_to_cart(user, sku_id=make_sku().pk, quantity=2)
    return call(user, "DELETE", f"cart/lines/{line.pk}/")


def untick(_sandbox: SandboxProcess) -> Act:
    user = buyer()
    add_to_cart(user, sku_id=make_sku().pk, quantity=2)
    return call(user, "PUT", "cart/selection/", {"lines": None, "is_selected": False})


def add_address(_sandbox: SandboxProcess) -> Act:
    return call(buyer(), "POST", "addresses/", ADDRESS)


def change_address(_sandbox: SandboxProcess) -> Act:
    user = buyer()
    own = make_address(user).pk
    return call(user, "PUT", f"addresses/{own}/", {**ADDRESS, "recipient": "王芳"})


def delete_address(_sandbox: SandboxProcess) -> Act:
    user = buyer()
    own = [make_address(user).pk for _n in range(2)]
    return call(user, "DELETE", f"addresses/{own[1]}/")


def change_profile(_sandbox: SandboxProcess) -> Act:
    return call(buyer(), "PUT", "me/", {"nickname": "", "avatar": None})


def log_in(_sandbox: SandboxProcess) -> Act:
    login = Login(openid=f"o-new-{next(serial)}", unionid="", session_key="k")
    first = {"platform": Platform.WECHAT, "app_id": "wxsandboxtest", "login": login}
    return partial(start_session, **first, device="")


def upload(_sandbox: SandboxProcess) -> Act:
    api, content = Api(buyer()), small_picture()
    headers = {"Authorization": f"Bearer {api.access}", "Idempotency-Key": uuid.uuid4().hex}

    def send() -> Any:
        file = SimpleUploadedFile("a.jpg", content, content_type="image/jpeg")
        body = {"file": file, "purpose": "avatar"}
        return api.client.post("/api/v1/uploads/", body, headers=headers)

    return send


def small_picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (6, 4), (200, 30, 30)).save(buffer, "JPEG")
    return buffer.getvalue()


def keep_favourite(_sandbox: SandboxProcess) -> Act:
    return call(buyer(), "PUT", f"favourites/{make_product().pk}/")


def leave_footprint(_sandbox: SandboxProcess) -> Act:
    return call(buyer(), "POST", "footprints/", {"product": make_product().pk})


def remember_search(_sandbox: SandboxProcess) -> Act:
    return call(buyer(), "POST", "search/history/", {"keyword": "绿茶"})


def consent(_sandbox: SandboxProcess) -> Act:
    MessageTemplate.objects.update_or_create(
        kind=MessageKind.PAID,
        defaults={"template_id": "paid-0123456789", "fields": {"thing1": "goods"}},
    )
    return call(buyer(), "POST", "messages/consents/", {"template_ids": ["paid-0123456789"]})


# The back office


def ship(_sandbox: SandboxProcess) -> Act:
    order = paid()
    pieces = {f"line_{order.lines.get().pk}": 1}
    form = {"carrier": carrier().pk, "tracking_number": "SF123456", **pieces}
    return fill_in("orders_order_ship", [order.pk], **form)


def adjust_price(_sandbox: SandboxProcess) -> Act:
    return fill_in("orders_order_adjust-price", [unpaid().pk], discount_fen="5", reason="x")


def free_of_charge(_sandbox: SandboxProcess) -> Act:
    return fill_in("orders_order_adjust-price", [unpaid().pk], discount_fen="39.80", reason="x")


def move_address(_sandbox: SandboxProcess) -> Act:
    address = {name: ADDRESS[name] for name in ("province", "city", "district", "detail", "phone")}
    form = {**address, "recipient": "王芳", "reason": "x"}
    return fill_in("orders_order_address", [paid().pk], **form)


def write_note(_sandbox: SandboxProcess) -> Act:
    return fill_in("orders_order_note", [paid().pk], staff_note="易碎", is_flagged="on")


def call_off(_sandbox: SandboxProcess) -> Act:
    return fill_in("orders_order_cancel", [paid().pk], reason="x")


def approve(_sandbox: SandboxProcess) -> Act:
    return fill_in("orders_refund_approve", [asked(paid()).pk], amount_fen="10", decision="好")


def reject(_sandbox: SandboxProcess) -> Act:
    return fill_in("orders_refund_reject", [asked(paid()).pk], decision="不")


def receive(_sandbox: SandboxProcess) -> Act:
    return fill_in("orders_refund_receive", [returning().pk], is_restocked="on")


def give_coupon(_sandbox: SandboxProcess) -> Act:
    form = {"coupon": make_coupon(per_customer=5, quota=9).pk, "user": buyer().pk}
    return fill_in("orders_claimedcoupon_add", **form)


def change_stock_of_many(_sandbox: SandboxProcess) -> Act:
    chosen = [make_sku().product_id for _n in range(2)]
    form = {"action": "change_stocks", "sure": "1", "delta": "5", "note": "x"}
    return fill_in("catalog_product_changelist", _selected_action=chosen, **form)


def save_product(_sandbox: SandboxProcess) -> Act:
    sku = make_sku()
    clerk = Client()
    clerk.force_login(make_staff(username=f"clerk-{next(serial)}"))
    url = reverse("admin:catalog_product_change", args=[sku.product_id])
    form, _asked = page_as_opened(clerk, url)
    form |= {"skus-0-stock_change": "10"}
    return fill_in("catalog_product_change", [sku.product_id], **form)


def copy_product(_sandbox: SandboxProcess) -> Act:
    product = make_sku().product_id
    at = reverse("admin:catalog_product_change", args=[product])
    return fill_in("catalog_product_duplicate", [product], at)


def answer_review(_sandbox: SandboxProcess) -> Act:
    return fill_in("catalog_review_change", [reviewed().pk], reply="谢谢")


def ban(_sandbox: SandboxProcess) -> Act:
    return fill_in("accounts_customer_ban", [Customer.objects.get(pk=buyer().pk).pk], reason="x")


def hide_review(_sandbox: SandboxProcess) -> Act:
    form = {"action": "hide", "_selected_action": [reviewed().pk]}
    return fill_in("catalog_review_changelist", **form)


def move_category(_sandbox: SandboxProcess) -> Act:
    one, other = make_category(name=f"c{next(serial)}"), make_category(name=f"c{next(serial)}")
    at = reverse("admin:catalog_category_changelist")
    return fill_in("catalog_category_move", at=at, to=f"{one.pk}:{other.pk}:")


def save_coupon(_sandbox: SandboxProcess) -> Act:
    coupon = make_coupon(quota=9)
    clerk = Client()
    clerk.force_login(make_staff(username=f"clerk-{next(serial)}"))
    form, _asked = page_as_opened(clerk, reverse("admin:orders_coupon_change", args=[coupon.pk]))
    return fill_in("orders_coupon_change", [coupon.pk], **{**form, "quota": "20"})


# Jobs


def money_there(sandbox: SandboxProcess, order: Order) -> Payment:
    """The customer has paid at the platform, and we have not heard of it."""
    params = insist(start(sandbox, order)).json()["params"]
    assert sandbox.pay(params, openid=order.user.identities.get().openid).ok
    return Payment.objects.select_related("order").get(order=order)


def settle(sandbox: SandboxProcess) -> Act:
    return run_job(partial(check_payment, money_there(sandbox, unpaid())))


def take_notice(sandbox: SandboxProcess) -> Act:
    order = unpaid()
    insist(start(sandbox, order))
    payment = Payment.objects.get(order=order)
    number = f"43{next(serial):026d}"
    body = notices.message(sandbox, notices.transaction(sandbox, payment, transaction_id=number))

    def take() -> None:
        """What could not be applied at once is left to the job."""
        receive_notice("wechat", notices.headers(sandbox, body), body)
        Notice.objects.filter(outcome="new").update(due_at=timezone.now())
        process_due_notices()

    return take


def late_payment(sandbox: SandboxProcess) -> Act:
    """Of an order that was cancelled: the money goes back by itself."""
    payment = money_there(sandbox, unpaid())
    cancel_order(payment.order, actor=Actor.CUSTOMER)
    return run_job(partial(check_payment, payment))


def success_of(refund: Refund) -> PlatformRefund:
    Refund.objects.filter(pk=refund.pk).update(sent_at=timezone.now())
    return PlatformRefund(
        number=refund.out_refund_no or "", payment_number=refund.payment.number,
        platform_id=f"5{next(serial):020d}", amount_fen=refund.amount_fen, currency="CNY", status="SUCCESS",
    )  # fmt: skip


def record(_sandbox: SandboxProcess) -> Act:
    return run_job(partial(record_refund, success_of(owed())))


def postpone_refunds() -> None:
    """Of the situations before."""
    later = timezone.now() + timedelta(hours=1)
    Refund.objects.exclude(due_at=None).update(due_at=later)


def send_refund(sandbox: SandboxProcess) -> Act:
    """Runs that follow each other: one that was broken off leaves the row leased."""
    postpone_refunds()
    payment = money_there(sandbox, unpaid())
    check_payment(payment)
    mine = Refund.objects.filter(pk=approved_refund(asked(payment.order)).pk)

    def is_back() -> bool:
        mine.exclude(due_at=None).update(due_at=timezone.now())
        send_due_refunds()
        return mine.get().status == RefundStatus.SUCCEEDED

    return partial(until, is_back)


def close(_sandbox: SandboxProcess) -> Act:
    return run_job(partial(cancel_order, unpaid(), actor=Actor.JOB, reason="超时未支付"))


def confirm_old(_sandbox: SandboxProcess) -> Act:
    return run_job(partial(confirm_receipt, shipped(), actor=Actor.JOB))


def publish(_sandbox: SandboxProcess) -> Act:
    product = make_sku().product
    due = {"status": ProductStatus.SCHEDULED, "published_at": timezone.now()}
    Product.objects.filter(pk=product.pk).update(**due)
    return run_job(publish_due_products)


def total_up(_sandbox: SandboxProcess) -> Act:
    """Of a day on which nothing happened: what the others sell is not in it."""
    day = timezone.localdate() - timedelta(days=100 + next(serial))
    return run_job(partial(compute_day, day))


# Tasks


def stock_task(_sandbox: SandboxProcess) -> Act:
    chosen = Product.objects.filter(pk__in=[make_sku().product_id for _n in range(3)])
    staff = make_staff(username=f"boss-{next(serial)}")
    task = many_task(chosen, "stocks", {"delta": 5, "note": "x"}, staff)
    return run_task(task, change_task)


def sheet_task(_sandbox: SandboxProcess) -> Act:
    carrier()
    rows = "\n".join(f"{paid().number},SF,SF{next(serial):08d}" for _n in range(3))
    staff = make_staff(username=f"boss-{next(serial)}")
    task = prepare_task(TaskKind.SHIP_SHEET, user=staff, source=rows.encode())
    return run_task(task, ship_sheet)


def imported(_sandbox: SandboxProcess) -> Act:
    lines = ["product,name,category,sku,price,stock"]
    for _n in range(3):
        name = f"new-{next(serial)}"
        lines.append(f"{name},{name},茶叶,{name},9.90,7")
    staff = make_staff(username=f"boss-{next(serial)}")
    task = prepare_task(TaskKind.IMPORT_PRODUCTS, user=staff, source="\n".join(lines).encode())
    return run_task(task, import_task)


WRITERS: list[Situation] = [
    place, place_from_cart, start_payment, cancel, confirm, hide, ask_refund, withdraw,
    return_parcel, review, follow_up, claim, redeem, welcome, add_line, change_line, remove_line,
    untick, add_address, change_address, delete_address, change_profile, log_in, upload,
    keep_favourite, leave_footprint, remember_search, consent,
    ship, adjust_price, free_of_charge, move_address, write_note, call_off, approve, reject,
    receive, give_coupon, change_stock_of_many, save_product, copy_product,
    answer_review, ban, hide_review, move_category, save_coupon,
    settle, take_notice, late_payment, record, send_refund, close, confirm_old, publish, total_up,
    stock_task, sheet_task, imported,
]  # fmt: skip
