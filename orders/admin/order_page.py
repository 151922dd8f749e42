"""An order as one picture: what was bought, money, parcels, refunds, and everything that happened."""

from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from miniback.core.money import format_yuan
from miniback.core.pictures import picture_url
from orders.models import Notice, Order, Payment, Refund, Shipment


def order_page(request: HttpRequest, order: Order) -> dict[str, Any]:
    """What the page shows beside the order's own columns, as far as this member may see it."""

    def may_see(model: Any) -> bool:
        return bool(request.user.has_perm(f"{model._meta.app_label}.view_{model._meta.model_name}"))

    payments = Payment.objects.filter(order=order).order_by("pk")
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
        "payments": [(row, _yuan(row.amount_fen)) for row in payments] if may_see(Payment) else [],
        "notices": Notice.objects.filter(payment__order=order).order_by("pk")
        if may_see(Notice)
        else [],
        "refunds": [
            (row, _yuan(row.amount_fen))
            for row in Refund.objects.filter(payment__order=order).order_by("pk")
        ]
        if may_see(Refund)
        else [],
        "parcels": Shipment.objects.filter(order=order)
        .select_related("carrier")
        .prefetch_related("lines__line")
        .order_by("pk")
        if may_see(Shipment)
        else [],
        "timeline": order.events.select_related("user").order_by("-pk"),
    }


def _yuan(fen: int) -> str:
    return f"¥{format_yuan(fen)}"
