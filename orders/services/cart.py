"""The cart: prices are always today's, lines that cannot be bought stay visible."""

from collections.abc import Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils.translation import gettext_lazy as _

from catalog.models import Sku
from miniback.core.errors import Conflict, NotFound
from miniback.core.serializers import MAX_QUANTITY
from miniback.core.transactions import atomic
from orders.models import MAX_CART_LINES, CartLine
from orders.services.lines import PricedLine, over_limit


class CartFull(Conflict):
    code = "cart_full"
    detail = _("The cart holds 100 lines already.")


class NotBuyable(Conflict):
    code = "off_sale"
    detail = _("This article is not on sale.")


class TooMany(Conflict):
    code = "too_many"
    detail = _("At most 999 pieces of one article.")


@atomic
def add_to_cart(user: Any, *, sku_id: int, quantity: int) -> CartLine:
    """Put pieces into the cart, on top of those there. Raises NotBuyable, CartFull, TooMany."""
    sku = Sku.objects.select_related("product").filter(pk=sku_id).first()
    if sku is None or not sku.is_buyable:
        raise NotBuyable(sku=sku_id)
    line = CartLine.objects.filter(user=user, sku=sku)
    if not line.exists():
        if CartLine.objects.for_customer(user).count() >= MAX_CART_LINES:
            raise CartFull
        try:
            with transaction.atomic():
                return CartLine.objects.create(user=user, sku=sku, quantity=quantity)
        except IntegrityError:
            # A parallel request added it first, or the article has just been deleted.
            if not line.exists():
                raise NotBuyable(sku=sku_id) from None
    fits = line.filter(quantity__lte=MAX_QUANTITY - quantity)
    if not fits.update(quantity=F("quantity") + quantity, is_selected=True):
        raise TooMany(sku=sku_id)
    return line.with_sku().get()


def read_cart(user: Any) -> list[CartLine]:
    """The customer's lines, newest first, each knowing its problem."""
    lines = list(CartLine.objects.for_customer(user).with_sku().order_by("-id"))
    # Only what is ticked would be bought together.
    ticked = [PricedLine(line.sku, line.quantity) for line in lines if line.is_selected]
    over = over_limit(user, ticked)
    for line in lines:
        line.is_over_limit = line.is_selected and line.sku.product_id in over
    return lines


@atomic
def change_cart_line(user: Any, line_id: int, *, quantity: int, is_selected: bool) -> CartLine:
    """Raises NotFound."""
    line = CartLine.objects.for_customer(user).filter(pk=line_id)
    line.update(quantity=quantity, is_selected=is_selected)
    changed = line.with_sku().first()
    if changed is None:
        raise NotFound
    return changed


@atomic
def remove_from_cart(user: Any, line_id: int) -> None:
    """Raises NotFound."""
    removed, _by_model = CartLine.objects.for_customer(user).filter(pk=line_id).delete()
    if not removed:
        raise NotFound


@atomic
def select_in_cart(user: Any, *, lines: Sequence[int] | None, is_selected: bool) -> None:
    """Tick or untick lines, or all (None). Ids that are not in the cart change nothing."""
    chosen = CartLine.objects.for_customer(user)
    if lines is not None:
        chosen = chosen.filter(pk__in=lines)
    chosen.update(is_selected=is_selected)
