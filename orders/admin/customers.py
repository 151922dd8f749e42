"""What the deal knows of a customer, on the customer's page."""

from collections.abc import Iterator
from typing import Any

from django.db.models import Count, Max, Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.admin import SECTIONS, Section
from accounts.models import Customer
from catalog.models import Review
from miniback.core.money import format_yuan
from orders.models import ClaimedCoupon, Order, Refund
from orders.status import OWED, OrderStatus, RefundKind, RefundStatus

NEWEST = 10
PAID = [
    OrderStatus.PAID, OrderStatus.PARTLY_SHIPPED, OrderStatus.SHIPPED, OrderStatus.COMPLETED,
]  # fmt: skip


def sections(request: HttpRequest, customer: Customer) -> Iterator[Section]:
    """Spend, and the newest orders, refunds, coupons and reviews, as far as this member may see them."""
    may = request.user.has_perm
    if may("orders.view_order"):
        yield _spend(customer)
        orders = Order.objects.filter(user=customer.pk).order_by("-pk")[:NEWEST]
        columns = [_("orders"), _("status"), _("to pay"), _("placed at")]
        yield Section(_("newest orders"), columns, [
            _row(row, row.number, row.get_status_display(), _yuan(row.payable_fen), _day(row.placed_at))
            for row in orders
        ])  # fmt: skip
    if may("orders.view_refund"):
        refunds = Refund.objects.filter(order__user=customer.pk).order_by("-pk")[:NEWEST]
        columns = [_("refunds"), _("status"), _("amount"), _("reason")]
        yield Section(_("newest refunds"), columns, [
            _row(row, row.number, row.get_status_display(), _yuan(row.amount_fen), row.reason)
            for row in refunds
        ])  # fmt: skip
    if may("orders.view_claimedcoupon"):
        claims = ClaimedCoupon.objects.filter(user=customer.pk).select_related("coupon")
        columns = [_("coupons"), _("used")]
        yield Section(_("coupons"), columns, [
            _row(row, row.coupon.name, _day(row.used_at)) for row in claims.order_by("-pk")[:NEWEST]
        ])  # fmt: skip
    if may("catalog.view_review"):
        reviews = Review.objects.filter(user=customer.pk).select_related("product")
        columns = [_("reviews"), _("rating"), _("text")]
        yield Section(_("newest reviews"), columns, [
            _row(row, row.product.name, row.rating, row.text) for row in reviews.order_by("-pk")[:NEWEST]
        ])  # fmt: skip


def _spend(customer: Customer) -> Section:
    """What was paid, less what went back or is owed."""
    paid = Order.objects.filter(user=customer.pk, status__in=PAID)
    found = paid.aggregate(count=Count("pk"), fen=Sum("payable_fen"), last=Max("paid_at"))
    back = Refund.objects.filter(order__in=paid, status__in=[*OWED, RefundStatus.SUCCEEDED])
    # Of a late or second payment nothing was spent.
    back = back.exclude(kind=RefundKind.AUTO)
    spent = (found["fen"] or 0) - (back.aggregate(fen=Sum("amount_fen"))["fen"] or 0)
    cells = [str(found["count"]), _yuan(spent), _day(found["last"])]
    return Section(_("spend"), [_("orders paid"), _("in all"), _("last paid")], [("", cells)])


def _row(row: Any, *cells: Any) -> tuple[str, list[Any]]:
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}_change"
    return reverse(name, args=[row.pk]), list(cells)


def _yuan(fen: int) -> str:
    return f"¥{format_yuan(fen)}"


def _day(moment: Any) -> str:
    return f"{timezone.localtime(moment):%Y-%m-%d %H:%M}" if moment else "-"


SECTIONS.append(sections)
