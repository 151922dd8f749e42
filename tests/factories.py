"""Makers of valid rows. Every argument is optional."""

import itertools
from typing import Any

from django.conf import settings
from django.utils import timezone

from accounts.models import Address, Identity, Platform, Staff, User
from accounts.services.profile import save_address
from accounts.services.sessions import start_session
from catalog.models import Brand, Category, Product, ProductStatus, Sku, StockMovementKind
from catalog.services.products import refresh_product
from catalog.services.search import index_products
from catalog.services.stock import adjust_stock
from miniback.core.transactions import atomic
from miniback.platforms.contract import Login, Trade, TradeState
from orders.models import ClaimedCoupon, Coupon, Order, Payment
from orders.services.checkout import place_order
from orders.services.coupons import give_coupon
from orders.services.settlement import record_trade

serial = itertools.count(1)


def make_customer(*, openid: str | None = None, app_id: str | None = None) -> User:
    app_id = app_id or settings.WECHAT_APP_ID or "wxsandboxtest"
    openid = openid or f"o-{next(serial)}"
    login = Login(openid)
    return start_session(platform=Platform.WECHAT, app_id=app_id, login=login, device="").user


def make_access(user: User, identity: Identity | None = None) -> str:
    """An access token of a new session."""
    identity = identity or Identity.objects.get(user=user)
    login = Login(identity.openid, identity.unionid)
    return start_session(
        platform=Platform(identity.platform), app_id=identity.app_id, login=login, device=""
    ).access


def make_staff(*, username: str = "staff", is_superuser: bool = True) -> Staff:
    staff = Staff(username=username, is_staff=True, is_superuser=is_superuser)
    staff.set_password("password")
    staff.save()
    return staff


def make_category(*, name: str = "茶叶", parent: Category | None = None, **more: Any) -> Category:
    return Category.objects.create(name=name, parent=parent, **more)


def make_product(
    *,
    name: str = "龙井绿茶",
    category: Category | None = None,
    brand: Brand | None = None,
    **more: Any,
) -> Product:
    more.setdefault("status", ProductStatus.ON_SALE)
    more.setdefault("published_at", timezone.now())
    product = Product.objects.create(
        name=name, category=category or make_category(), brand=brand, **more
    )
    index_products([product.pk])
    return product


@atomic
def make_sku(
    *, product: Product | None = None, stock: int = 100, price_fen: int = 1990, **more: Any
) -> Sku:
    more.setdefault("code", f"SKU-{next(serial)}")
    more.setdefault("options", {"规格": "100克"})
    sku = Sku.objects.create(product=product or make_product(), price_fen=price_fen, **more)
    if stock:
        adjust_stock(sku, delta=stock, note="first", kind=StockMovementKind.INITIAL)
    refresh_product(sku.product_id)
    sku.refresh_from_db()
    return sku


ADDRESS = {
    "recipient": "李明",
    "phone": "13812345678",
    "province": "浙江省",
    "city": "杭州市",
    "district": "西湖区",
    "detail": "文三路 100 号",
    "region_code": "330106",
    "is_default": True,
}


def make_address(user: User, **more: Any) -> Address:
    return save_address(user, **{**ADDRESS, **more})


def make_coupon(*, off: int = 500, **more: Any) -> Coupon:
    """By default: ``off`` fen off anything, claimed by customers, once each, for 30 days."""
    values = {"name": "优惠券", "amount_fen": off, "valid_days": 30, **more}
    scopes = {name: values.pop(name, []) for name in ("categories", "brands", "products")}
    coupon = Coupon(**values)
    coupon.full_clean()
    coupon.save()
    for name, rows in scopes.items():
        getattr(coupon, name).set(rows)
    return coupon


def make_claim(user: User, **more: Any) -> ClaimedCoupon:
    return give_coupon(make_coupon(**more), user)


def make_order(
    user: User | None = None, *, sku: Sku | None = None, quantity: int = 1, **more: Any
) -> Order:
    user = user or make_customer()
    sku = sku or make_sku()
    address = user.addresses.first() or make_address(user)
    order = place_order(
        user,
        quantities={sku.pk: quantity},
        address_id=address.pk,
        payable_fen=sku.price_fen * quantity,
    )
    if more:
        Order.objects.filter(pk=order.pk).update(**more)
        order.refresh_from_db()
    return order


def pay(order: Order) -> Order:
    """The order, paid by WeChat as if the platform had told of it."""
    number = next(serial)
    payment = Payment.objects.create(
        order=order, channel="wechat", number=f"P{number:021d}", amount_fen=order.payable_fen,
        app_id=settings.WECHAT_APP_ID, merchant_id=settings.WECHATPAY_MCH_ID,
        payer=order.user.identities.get(), created_at=order.placed_at,
    )  # fmt: skip
    trade = Trade(
        number=payment.number,
        state=TradeState.PAID,
        platform_state="SUCCESS",
        transaction_id=f"42{number:020d}",
        amount_fen=payment.amount_fen,
        currency="CNY",
        app_id=settings.WECHAT_APP_ID,
        merchant_id=settings.WECHATPAY_MCH_ID,
        paid_at=timezone.now(),
    )
    record_trade(payment.channel, trade)
    order.refresh_from_db()
    return order
