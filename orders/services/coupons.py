"""Coupons: getting one, what it takes off an order, using it, having it back."""

import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from catalog.models import Category, Product
from miniback.core.errors import Conflict, NotFound
from miniback.core.throttling import count_try
from miniback.core.transactions import atomic
from orders import pricing
from orders.models import ClaimedCoupon, Coupon, CouponScope, CouponSource, Order
from orders.models.coupon import ClaimedCouponQuerySet
from orders.pricing import Discount
from orders.services.lines import PricedLine

# What a quote lists: the ones that end first.
MAX_QUOTED = 50
REDEEM_TRIES, REDEEM_WINDOW_SECONDS = 10, 60


class CouponEnded(Conflict):
    code = "coupon_ended"
    detail = _("This coupon can no longer be had.")


class CouponsGone(Conflict):
    code = "coupons_gone"
    detail = _("All of these coupons are gone.")


class CouponLimit(Conflict):
    code = "coupon_limit"
    detail = _("You have had as many of this coupon as one customer may have.")


class CouponNotUsable(Conflict):
    code = "coupon_not_usable"
    detail = _("This coupon cannot be used for this order.")


class QuotedCoupon(NamedTuple):
    """A coupon of the customer beside a quote: what it takes off, or the reason why nothing."""

    claimed: ClaimedCoupon
    off: Discount | str

    @property
    def saves_fen(self) -> int:
        return self.off.total_fen if isinstance(self.off, Discount) else 0

    @property
    def reason(self) -> str:
        return "" if isinstance(self.off, Discount) else self.off


# Getting


def claim_coupon(user: Any, coupon_id: int) -> ClaimedCoupon:
    """Take a copy of a coupon that is there to be claimed.

    Raises NotFound, CouponEnded, CouponsGone, CouponLimit.
    """
    coupon = Coupon.objects.filter(pk=coupon_id, source=CouponSource.CLAIM).first()
    if coupon is None:
        raise NotFound
    return give_coupon(coupon, user)


def redeem_code(user: Any, code: str) -> ClaimedCoupon:
    """Take a copy by its code, typed in any width or case. Raises as ``claim_coupon``, and Throttled."""
    count_try(f"redeem:{user.pk}", limit=REDEEM_TRIES, window_seconds=REDEEM_WINDOW_SECONDS)
    plain = unicodedata.normalize("NFKC", code).strip().upper()
    coupon = Coupon.objects.filter(code=plain, source=CouponSource.CODE).first()
    if coupon is None:
        raise NotFound(_("There is no such code."))
    return give_coupon(coupon, user)


@atomic
def give_coupon(coupon: Coupon, user: Any) -> ClaimedCoupon:
    """Give a customer one copy, within quota and limit. Raises CouponEnded, CouponsGone, CouponLimit."""
    now = timezone.now()
    offered = Coupon.objects.running(now).filter(pk=coupon.pk)
    left = Q(quota=None) | Q(claimed_count__lt=F("quota"))
    # It is also the lock under which this customer's copies are counted.
    if not offered.filter(left).update(claimed_count=F("claimed_count") + 1):
        raise CouponsGone if offered.exists() else CouponEnded
    count = ClaimedCoupon.objects.filter(coupon=coupon, user=user).count()
    if count >= coupon.per_customer:
        raise CouponLimit
    valid_from, valid_until = coupon.validity(now)
    return ClaimedCoupon.objects.create(
        coupon=coupon,
        user=user,
        nth=count + 1,
        claimed_at=now,
        valid_from=valid_from,
        valid_until=valid_until,
    )


def welcome(user: Any) -> None:
    """Give a customer who came after they were made the coupons for new ones, once each."""
    had = ClaimedCoupon.objects.filter(coupon=OuterRef("pk"), user=user)
    for coupon in Coupon.objects.running(timezone.now()).filter(
        ~Exists(had), source=CouponSource.FIRST_LOGIN, created_at__lte=user.date_joined
    ):
        try:
            with transaction.atomic():
                give_coupon(coupon, user)
        except (CouponEnded, CouponsGone, CouponLimit):
            # The customer asked for none.
            continue
        except IntegrityError:
            # A parallel request was faster.
            if not ClaimedCoupon.objects.filter(coupon=coupon, user=user).exists():
                raise


# What it takes off


def quote_coupons(
    user: Any, lines: Sequence[PricedLine], *, freight_fen: int, chosen_id: int | None = None
) -> list[QuotedCoupon]:
    """The customer's coupons for an order of ``lines``: usable ones first, the best on top.

    The chosen one is among them in any case. Raises NotFound when it is not his.
    """
    welcome(user)
    # Read after it: what was given just now is valid from now on.
    now = timezone.now()
    mine = _own(user).select_related("coupon")
    claims = list(mine.usable(now).order_by("valid_until", "id")[:MAX_QUOTED])
    if chosen_id is not None and chosen_id not in {claimed.pk for claimed in claims}:
        chosen = mine.filter(pk=chosen_id).first()
        if chosen is None:
            raise NotFound(_("There is no such coupon."))
        claims.append(chosen)
    scopes = _Scopes([claimed.coupon for claimed in claims])
    quoted = [
        QuotedCoupon(
            claimed,
            pricing.USED if claimed.used_at else _try(claimed, lines, freight_fen, now, scopes),
        )
        for claimed in claims
    ]
    return sorted(quoted, key=lambda row: (row.reason != "", -row.saves_fen))


def discount_of(
    user: Any, claimed_id: int, lines: Sequence[PricedLine], *, freight_fen: int, now: datetime
) -> Discount:
    """What one coupon, just used, takes off. Raises NotFound, CouponNotUsable."""
    claimed = _own(user).select_related("coupon").filter(pk=claimed_id).first()
    if claimed is None:
        raise NotFound(_("There is no such coupon."))
    off = _try(claimed, lines, freight_fen, now, _Scopes([claimed.coupon]))
    if not isinstance(off, Discount):
        raise CouponNotUsable(coupon=claimed_id, reason=off)
    return off


def _own(user: Any) -> ClaimedCouponQuerySet:
    return ClaimedCoupon.objects.for_customer(user)


def _try(
    claimed: ClaimedCoupon,
    lines: Sequence[PricedLine],
    freight_fen: int,
    now: datetime,
    scopes: "_Scopes",
) -> Discount | str:
    if now < claimed.valid_from:
        return pricing.NOT_YET_VALID
    if now >= claimed.valid_until:
        return pricing.EXPIRED
    totals = [line.total_fen for line in lines]
    covered = [scopes.covers(claimed.coupon, line.sku.product) for line in lines]
    return pricing.discount(claimed.coupon.offer, totals, covered, freight_fen)


class _Scopes:
    """What each of some coupons covers, from at most one query a kind of scope (and the tree)."""

    def __init__(self, coupons: Sequence[Coupon]) -> None:
        self.ids: dict[int, set[int]] = {}
        through = {
            CouponScope.CATEGORIES: (Coupon.categories.through, "category_id"),
            CouponScope.BRANDS: (Coupon.brands.through, "brand_id"),
            CouponScope.PRODUCTS: (Coupon.products.through, "product_id"),
        }
        for scope, (table, column) in through.items():
            wanted = {coupon.pk for coupon in coupons if coupon.scope == scope}
            if not wanted:
                continue
            rows = table.objects.filter(coupon__in=wanted)  # type: ignore[attr-defined]
            for coupon_id, row_id in rows.values_list("coupon_id", column):
                self.ids.setdefault(coupon_id, set()).add(row_id)
            if scope == CouponScope.CATEGORIES:
                self._descend(wanted)

    def _descend(self, coupon_ids: set[int]) -> None:
        below = Category.objects.tree()
        for coupon_id in coupon_ids & self.ids.keys():
            self.ids[coupon_id] = below.with_descendants(self.ids[coupon_id])

    def covers(self, coupon: Coupon, product: Product) -> bool:
        match coupon.scope:
            case CouponScope.CATEGORIES:
                key: int | None = product.category_id
            case CouponScope.BRANDS:
                key = product.brand_id
            case CouponScope.PRODUCTS:
                key = product.pk
            case _:
                return True
        return key in self.ids.get(coupon.pk, set())


# Using


def use_coupon(user: Any, claimed_id: int, *, now: datetime) -> None:
    """Mark a copy as used, once. Raises NotFound, CouponNotUsable."""
    unused = _own(user).filter(pk=claimed_id, used_at=None)
    if unused.update(used_at=now):
        return
    if not _own(user).filter(pk=claimed_id).exists():
        raise NotFound(_("There is no such coupon."))
    raise CouponNotUsable(coupon=claimed_id, reason=pricing.USED)


def give_back_coupon(order: Order) -> None:
    """The order came to nothing: its coupon may be used again, as long as it is valid."""
    if order.claimed_coupon_id:
        ClaimedCoupon.objects.filter(pk=order.claimed_coupon_id).update(used_at=None)
