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
            self.articles[line.sku].stock += line.quantity
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
                    everything = all(p.released == p.quantity for p in order.lines.values())
                    open_ = any(r.status == "approved" for r in order.refunds)
                    if order.status == "paid" and everything and not open_:
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
        if order.status in {"pending_payment", "cancelled"} or not order.payable:
            return "order_status"
        if kind == "return" and order.status == "paid":
            return "invalid"
        line = order.lines[sku]
        is_shipped = order.status != "paid"
        if order.status == "partly_shipped":
            unsent = line.quantity - line.shipped - order.claimed(sku, is_shipped=False)
            sent = line.shipped - order.claimed(sku, is_shipped=True)
            is_shipped = not (kind == "refund_only" and count <= unsent)
            if is_shipped and count > sent:
                return "over_refund"
        back = line.refunded + count
        if back > line.quantity:
            return "over_refund"
        fen = line.paid * back // line.quantity - line.refunded_fen
        freight = 0
        others = all(p.refunded == p.quantity for p in order.lines.values() if p is not line)
        if order.status == "paid" and others and back == line.quantity:
            freight = order.freight - sum(r.freight for r in order.claiming())
        if not fen + freight:
            return "over_refund"
        line.refunded, line.refunded_fen = back, line.refunded_fen + fen
        order.refunds.append(
            Refund(order, {sku: count}, {sku: fen}, freight, fen + freight, kind, is_shipped)
        )
        return "ok"

    def approve(self, refund: Refund, less: int) -> str:
        if refund.status != "requested":
            return "refund_status"
        amount = refund.amount - less
        if amount <= 0:
            return "invalid"
        asked = sum(refund.claimed.values())
        refund.freight = max(amount - asked, 0) if less else refund.freight
        refund.amount = amount
        if refund.kind == "return":
            refund.status = "returning"
        else:
            self.owe(refund)
        return "ok"

    def owe(self, refund: Refund) -> None:
        refund.status = "approved"
        order = refund.order
        if not refund.is_shipped:
            for sku, count in refund.pieces.items():
                order.lines[sku].released += count
                self.articles[sku].stock += count
            left = any(order.to_ship(sku) for sku in order.lines)
            if order.status == "partly_shipped" and not left:
                order.status = "shipped"

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
