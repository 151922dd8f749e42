"""What a customer keeps: favourites, footprints, searches; each within bounds."""

from typing import Any

from django.db.models import Model
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from catalog.models import Favourite, Footprint, Product, SearchHistory
from catalog.words import MAX_QUERY, normalise
from miniback.core.errors import Conflict, NotFound
from miniback.core.transactions import atomic

MAX_FAVOURITES = 1000
MAX_FOOTPRINTS = 200
MAX_SEARCHES = 20


class TooManyFavourites(Conflict):
    code = "too_many_favourites"
    detail = _("There are 1,000 favourites already; remove one first.")


@atomic
def add_favourite(user: Any, product_id: int) -> Favourite:
    """Keep a product; keeping it again changes nothing. Raises NotFound, TooManyFavourites."""
    mine = Favourite.objects.filter(user=user)
    if found := mine.filter(product=product_id).first():
        return found
    _refuse_unknown(product_id)
    if mine.count() >= MAX_FAVOURITES:
        raise TooManyFavourites
    favourite, _is_new = Favourite.objects.get_or_create(
        user=user, product_id=product_id, defaults={"created_at": timezone.now()}
    )
    return favourite


@atomic
def note_footprint(user: Any, product_id: int) -> Footprint:
    """Remember that a customer looked at a product now; of the oldest the last 200 stay."""
    _refuse_unknown(product_id)
    footprint, _is_new = Footprint.objects.update_or_create(
        user=user, product_id=product_id, defaults={"viewed_at": timezone.now()}
    )
    _trim(Footprint, "viewed_at", user, MAX_FOOTPRINTS)
    return footprint


@atomic
def note_search(user: Any, text: str) -> SearchHistory:
    """Remember that a customer searched for ``text`` now; the last 20 different ones stay."""
    row, _is_new = SearchHistory.objects.update_or_create(
        user=user, keyword=normalise(text)[:MAX_QUERY], defaults={"searched_at": timezone.now()}
    )
    _trim(SearchHistory, "searched_at", user, MAX_SEARCHES)
    return row


def _refuse_unknown(product_id: int) -> None:
    if not Product.objects.on_sale().filter(pk=product_id).exists():
        raise NotFound


def _trim(table: type[Model], moment: str, user: Any, limit: int) -> None:
    mine = table._default_manager.filter(user=user)
    beyond = mine.order_by(f"-{moment}", "-pk").values_list("pk", flat=True)[limit : limit + 100]
    if ids := list(beyond):
        mine.filter(pk__in=ids).delete()
