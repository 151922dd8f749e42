"""Finding orders among a million: each kind of word by an index of its own."""

from typing import Any

from django.db.models import Q

from accounts.models import by_phone
from catalog.models import Product
from catalog.services.search import engine
from miniback.core.fields import beginning
from orders.models import Order, OrderLine, Shipment

# Of each kind, the newest.
MOST, MOST_PRODUCTS = 500, 20


def find_orders(term: str) -> Q:
    """Orders with this number (or its beginning), tracking number, recipient, phone, or product.

    A phone is whole or its last four digits; a product is found by its words or a SKU code. One OR
    over all these tables would read every order, so each is asked alone for at most MOST.
    """
    upper = term.upper()
    asked: list[Any] = [
        Order.objects.filter(**beginning("number", upper)).values_list("pk"),
        Shipment.objects.filter(tracking_number=term).values_list("order"),
        Order.objects.filter(recipient=term).values_list("pk"),
    ]
    if term.isascii() and term.isdigit():
        asked.append(Order.objects.filter(by_phone(term)).values_list("pk"))
    else:
        found = engine().matching(Product.objects.all(), term).values_list("pk", flat=True)
        products = list(found[:MOST_PRODUCTS])
        if products:
            asked.append(OrderLine.objects.filter(product__in=products).values_list("order"))
    ids = {pk for rows in asked for (pk,) in rows.order_by("-pk")[:MOST]}
    return Q(pk__in=ids)
