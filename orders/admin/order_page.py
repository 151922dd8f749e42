"""An order as one picture: what was bought, money, parcels, refunds, and everything that happened."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from miniback.core.money import format_yuan
from miniback.core.pictures import picture_url
from orders.models import Notice, Order, Payment, Refund, Shipment


def order_page(request: HttpRequest, order: Order) -> dict[str, Any]:
    """What the page shows beside the order's own columns, as far as this member may see it."""

    def seen(rows: QuerySet[Any]) -> QuerySet[Any]:
        meta = rows.model._meta
        may_see = request.user.has_perm(f"{meta.app_label}.view_{meta.model_name}")
        return rows.order_by("pk") if may_see else rows.none()

    parcels = Shipment.objects.filter(order=order).select_related("carrier")
    return {
        "lines": [
            (
                line,
                picture_url(line.picture, "thumb"),
                _yuan(line.unit_fen),
                _yuan(line.payable_fen),
            )
            for line in order.lines.order_by("pk")
        ],
        "money": [
            (_("goods"), _yuan(order.goods_fen)),
            (_("freight"), _yuan(order.freight_fen)),
            (_("discount"), _yuan(order.discount_fen)),
            (_("to pay"), _yuan(order.payable_fen)),
        ],
        "payments": _with_yuan(seen(Payment.objects.filter(order=order))),
        "notices": seen(Notice.objects.filter(payment__order=order)),
        "refunds": _with_yuan(seen(Refund.objects.filter(order=order))),
        "parcels": seen(parcels.prefetch_related("lines__line")),
        "timeline": order.events.select_related("user").order_by("-pk"),
    }


def _with_yuan(rows: QuerySet[Any]) -> list[tuple[Any, str]]:
    return [(row, _yuan(row.amount_fen)) for row in rows]


def _yuan(fen: int) -> str:
    return f"¥{format_yuan(fen)}"
