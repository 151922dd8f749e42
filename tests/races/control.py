"""The negative control (C3): the shop with its guard taken out. It must oversell, or the races prove nothing.

Served instead of miniback.wsgi. Stock is read, compared and saved; it is read before the
transaction begins, because SQLite lets in one writer at a time.
"""

import threading
import time
from collections.abc import Mapping
from typing import Any

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()

from catalog.models import Sku, StockMovement, StockMovementKind  # noqa: E402
from catalog.services.stock import OutOfStock  # noqa: E402
from orders.services import checkout  # noqa: E402
from orders.viewsets import orders as viewsets  # noqa: E402

THINK_SECONDS = 0.02
guarded_run_once = viewsets.run_once
request = threading.local()


def read_then_run_once(*, body: Any, **more: Any) -> Any:
    request.stock = dict(Sku.objects.filter(pk__in=body["quantities"]).values_list("pk", "stock"))
    time.sleep(THINK_SECONDS)
    return guarded_run_once(body=body, **more)


def take_stock(quantities: Mapping[int, int], *, reference: str) -> dict[int, Sku]:
    skus = Sku.objects.select_related("product").in_bulk(quantities)
    for sku_id, quantity in quantities.items():
        if request.stock[sku_id] < quantity:
            raise OutOfStock(sku=sku_id)
        skus[sku_id].stock = request.stock[sku_id] - quantity
        skus[sku_id].save(update_fields=["stock"])
        StockMovement.objects.create(
            sku_id=sku_id,
            kind=StockMovementKind.RESERVE,
            delta=-quantity,
            reference=reference,
            event_key=f"control:{reference}:{sku_id}",
        )
    return skus


viewsets.run_once = read_then_run_once
checkout.take_stock = take_stock
