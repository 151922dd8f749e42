"""The shop in plain Python, written from the rules and not from the code: what a machine compares with.

Every method says what should happen: "ok", or the code of the refusal, and changes nothing then.
"""

from dataclasses import dataclass, field
from fractions import Fraction

LIMIT = 9


@dataclass
class Article:
    price: int
    stock: int
    is_limited: bool
    freight: int


@dataclass
class Line:
    sku: int
    quantity: int
    paid: int
    shipped: int = 0
    released: int = 0
    refunded: int = 0
    refunded_fen: int = 0


@dataclass
class Refund:
    order: "Order"
    pieces: dict[int, int]
    claimed: dict[int, int]
    freight: int
    amount: int
    kind: str
    is_shipped: bool
    status: str = "requested"
    # Staff set the amount by hand: freight is not decided again.
    is_fixed: bool = False


@dataclass
class Order:
    user: int
    lines: dict[int, Line]
    goods: int
    freight: int
    payable: int
    coupon: "Coupon | None"
    status: str = "pending_payment"
    refunds: list[Refund] = field(default_factory=list)

    def claiming(self) -> list[Refund]:
        return [r for r in self.refunds if r.status not in {"rejected", "withdrawn"}]

    def freight_due(self, pieces: dict[int, int], besides: Refund | None = None) -> int:
        """What is left of the freight, with the last pieces that staff agree to of an unshipped order."""
        gone = all(p.released + pieces.get(sku, 0) == p.quantity for sku, p in self.lines.items())
        if self.status != "paid" or not gone:
            return 0
        agreed = [r for r in self.claiming() if r.status != "requested" and r is not besides]
        return self.freight - sum(r.freight for r in agreed)

    def claimed(self, line: int, *, is_shipped: bool) -> int:
        return sum(r.pieces.get(line, 0) for r in self.claiming() if r.is_shipped == is_shipped)

    def to_ship(self, line: int) -> int:
        part = self.lines[line]
        return part.quantity - part.shipped - part.released


@dataclass
class Coupon:
    user: int
    off: int
    threshold: int
    is_used: bool = False


@dataclass
class Sheet:
    """A payment at the platform."""

    order: Order
    amount: int
    is_let_go: bool = False
    status: str = "open"


def share(amount: int, weights: list[int]) -> list[int]:
    """Largest remainder, with exact fractions."""
    total = sum(weights)
    if not total:
        return [0] * len(weights)
    exact = [Fraction(amount * weight, total) for weight in weights]
    parts = [int(value) for value in exact]
    ranked = sorted(range(len(weights)), key=lambda i: (parts[i] - exact[i], i))
    for index in ranked[: amount - sum(parts)]:
        parts[index] += 1
    return parts


class ShopModel:
    def __init__(self, articles: list[Article], coupons: list[Coupon]) -> None:
        self.articles, self.coupons = articles, coupons
        self.orders: list[Order] = []
        self.sheets: list[Sheet] = []
        self.at_platform = 0
        self.late_refunds = 0

    # Orders

    def cost(self, wanted: dict[int, int], coupon: Coupon | None) -> tuple[int, int, list[int]]:
        """Goods, freight, and what is taken off each line."""
        totals = [self.articles[sku].price * count for sku, count in sorted(wanted.items())]
        goods = sum(totals)
        freight = max(self.articles[sku].freight for sku in wanted)
        off = min(coupon.off, goods) if coupon else 0
        return goods, freight, share(off, totals)

    def place(self, user: int, wanted: dict[int, int], coupon: Coupon | None, paid: int) -> str:
        if coupon and coupon.is_used:
            return "coupon_not_usable"
        if any(self.articles[sku].stock < count for sku, count in wanted.items()):
            return "out_of_stock"
        if self.bought(user) + self.limited(wanted) > LIMIT and self.limited(wanted):
            return "over_limit"
        goods, freight, off = self.cost(wanted, coupon)
        if coupon and goods < coupon.threshold:
            return "coupon_not_usable"
        if paid != goods + freight - sum(off):
            return "price_changed"
        lines = {}
        for (sku, count), less in zip(sorted(wanted.items()), off, strict=True):
            self.articles[sku].stock -= count
            lines[sku] = Line(sku, count, self.articles[sku].price * count - less)
        order = Order(user, lines, goods, freight, paid, coupon)
        order.status = "pending_payment" if paid else "paid"
        self.orders.append(order)
        if coupon:
            coupon.is_used = True
        return "ok"

    def limited(self, wanted: dict[int, int]) -> int:
        return sum(count for sku, count in wanted.items() if self.articles[sku].is_limited)

    def bought(self, user: int) -> int:
        return sum(
            line.quantity - line.released
            for order in self.orders
            if order.user == user and order.status != "cancelled"
            for line in order.lines.values()
            if self.articles[line.sku].is_limited
        )

    def cancel(self, order: Order) -> str:
        if order.status == "cancelled":
            return "ok"
        if order.status != "pending_payment" and (order.status != "paid" or order.payable):
            return "order_status"
        for line in order.lines.values():
            self.articles[line.sku].stock += line.quantity - line.released
        for refund in order.refunds:
            if refund.status == "requested":
                self.give_up(refund, "withdrawn")
        self.end(order)
        return "ok"

    def end(self, order: Order) -> None:
        order.status = "cancelled"
        self.let_go(order)
        if order.coupon:
            order.coupon.is_used = False

    def let_go(self, order: Order) -> None:
        for sheet in self.sheets:
            if sheet.order is order and sheet.status == "open":
                sheet.is_let_go = True

    def adjust(self, order: Order, off: int) -> str:
        if order.status != "pending_payment":
            return "order_status"
        if off > order.goods:
            return "invalid"
        totals = [
            self.articles[sku].price * line.quantity for sku, line in sorted(order.lines.items())
        ]
        for (_sku, line), total, less in zip(
            sorted(order.lines.items()), totals, share(off, totals), strict=True
        ):
            line.paid = total - less
        order.payable = order.goods + order.freight - off
        self.let_go(order)
        if not order.payable:
            order.status = "paid"
        return "ok"

    # Money

    def open_sheet(self, order: Order) -> str:
        if order.status != "pending_payment":
            return "order_status"
        if not self.sheet_of(order):
            self.sheets.append(Sheet(order, order.payable))
        return "ok"

    def sheet_of(self, order: Order) -> Sheet | None:
        mine = [s for s in self.sheets if s.order is order and not s.is_let_go]
        return mine[-1] if mine and mine[-1].status == "open" else None

    def pay(self, sheet: Sheet) -> str:
        if sheet.status != "open":
            return "refused"
        sheet.status = "paid"
        self.at_platform += sheet.amount
        if sheet.order.status == "pending_payment" and sheet.amount == sheet.order.payable:
            sheet.order.status = "paid"
        else:
            self.late_refunds += sheet.amount
        return "ok"

    def settle(self) -> None:
        """Every job has run, the platform has done everything."""
        for sheet in self.sheets:
            if sheet.is_let_go and sheet.status == "open":
                sheet.status = "closed"
        self.at_platform -= self.late_refunds
        self.late_refunds = 0
        for order in self.orders:
            for refund in order.refunds:
                if refund.status == "approved":
                    refund.status = "succeeded"
                    self.at_platform -= refund.amount
                    self.end_if_all_is_back(order)

    def end_if_all_is_back(self, order: Order) -> None:
        everything = all(p.released == p.quantity for p in order.lines.values())
        is_owed = any(r.status == "approved" for r in order.refunds)
        if order.status == "paid" and everything and not is_owed:
            self.end(order)

    # Parcels

    def ship(self, order: Order, pieces: dict[int, int]) -> str:
        if order.status not in {"paid", "partly_shipped"}:
            return "order_status"
        asked = any(r.status == "requested" and not r.is_shipped for r in order.refunds)
        if asked or not any(order.to_ship(sku) for sku in order.lines):
            return "refund_open"
        if any(count > order.to_ship(sku) for sku, count in pieces.items()):
            return "too_many_to_ship"
        for sku, count in pieces.items():
            order.lines[sku].shipped += count
        left = any(order.to_ship(sku) for sku in order.lines)
        order.status = "partly_shipped" if left else "shipped"
        return "ok"

    def confirm(self, order: Order) -> str:
        if order.status not in {"shipped", "completed"}:
            return "order_status"
        order.status = "completed"
        return "ok"

    # Refunds

    def ask(self, order: Order, sku: int, count: int, kind: str) -> str:
        if order.status in {"pending_payment", "cancelled"}:
            return "order_status"
        return self.claim(order, {sku: count}, kind)

    def claim(self, order: Order, pieces: dict[int, int], kind: str) -> str:
        if kind == "return" and order.status == "paid":
            return "invalid"
        is_shipped = order.status != "paid"
        if order.status == "partly_shipped":
            is_shipped = kind == "return" or any(
                count > self.unsent(order, sku) for sku, count in pieces.items()
            )
            if is_shipped and any(count > self.sent(order, sku) for sku, count in pieces.items()):
                return "over_refund"
        if any(order.lines[s].refunded + n > order.lines[s].quantity for s, n in pieces.items()):
            return "over_refund"
        claimed = {}
        for sku, count in pieces.items():
            line = order.lines[sku]
            line.refunded += count
            claimed[sku] = line.paid * line.refunded // line.quantity - line.refunded_fen
            line.refunded_fen += claimed[sku]
        freight = 0 if is_shipped else order.freight_due(pieces)
        amount = sum(claimed.values()) + freight
        order.refunds.append(Refund(order, pieces, claimed, freight, amount, kind, is_shipped))
        return "ok"

    def unsent(self, order: Order, sku: int) -> int:
        line = order.lines[sku]
        return line.quantity - line.shipped - order.claimed(sku, is_shipped=False)

    def sent(self, order: Order, sku: int) -> int:
        return order.lines[sku].shipped - order.claimed(sku, is_shipped=True)

    def give(
        self, order: Order, pieces: dict[int, int], freight: int | None, less: int, kind: str
    ) -> str:
        """Staff give back unasked: pieces, freight (None: by the rule), or a little less."""
        if order.status in {"pending_payment", "cancelled"}:
            return "order_status"
        spent = sum(r.freight for r in order.claiming())
        if freight is not None and freight > order.freight - spent:
            return "invalid"
        if not pieces and (not freight or kind == "return"):
            return "invalid"
        before = {sku: (p.refunded, p.refunded_fen) for sku, p in order.lines.items()}
        outcome = self.claim(order, pieces, kind)
        if outcome != "ok":
            return outcome
        refund = order.refunds[-1]
        if freight is not None:
            refund.freight, refund.is_fixed = freight, True
            refund.amount = sum(refund.claimed.values()) + freight
        outcome = self.approve(refund, refund.amount - less if less else None)
        if outcome != "ok":
            order.refunds.remove(refund)
            for sku, (pieces_back, fen) in before.items():
                order.lines[sku].refunded, order.lines[sku].refunded_fen = pieces_back, fen
        return outcome

    def approve(self, refund: Refund, amount: int | None) -> str:
        """What goes back is decided now; staff may say less, but not nothing, and not more."""
        if refund.status != "requested":
            return "refund_status"
        freight = refund.freight
        if not refund.is_fixed:
            pieces = {} if refund.is_shipped else refund.pieces
            freight = refund.order.freight_due(pieces, besides=refund)
        asked = sum(refund.claimed.values())
        full = asked + freight
        if amount is not None and amount != full and not 0 < amount < full:
            return "invalid"
        refund.amount, refund.freight = full, freight
        if amount is not None and amount != full:
            refund.amount, refund.freight = amount, max(amount - asked, 0)
        if refund.kind == "return":
            refund.status = "returning"
        else:
            self.owe(refund)
        return "ok"

    def owe(self, refund: Refund) -> None:
        refund.status = "approved" if refund.amount else "succeeded"
        order = refund.order
        if not refund.is_shipped:
            for sku, count in refund.pieces.items():
                order.lines[sku].released += count
                self.articles[sku].stock += count
            left = any(order.to_ship(sku) for sku in order.lines)
            if order.status == "partly_shipped" and not left:
                order.status = "shipped"
        if not refund.amount:
            self.end_if_all_is_back(order)

    def receive(self, refund: Refund, is_restocked: bool) -> str:
        if refund.status != "returning":
            return "refund_status"
        self.owe(refund)
        if is_restocked:
            for sku, count in refund.pieces.items():
                self.articles[sku].stock += count
        return "ok"

    def give_up(self, refund: Refund, to: str) -> str:
        if refund.status == to == "withdrawn":
            return "ok"
        if refund.status not in {"requested", "returning"}:
            return "refund_status"
        refund.status = to
        for sku, count in refund.pieces.items():
            refund.order.lines[sku].refunded -= count
            refund.order.lines[sku].refunded_fen -= refund.claimed[sku]
        return "ok"
