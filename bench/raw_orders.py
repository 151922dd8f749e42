"""The reference of `bench-orders`: the statements of POST orders/ in raw SQL, and as little else as will do.

No serializer, no ORM, no JWT (the session's id comes as it is), no idempotent replay, no coupon, no
freight. What it does not check it could not refuse: it is a limit, not a shop.
"""

import secrets
from datetime import timedelta
from typing import Any

import orjson
from django.db import connection, transaction
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from accounts.models import Address, Session, User
from catalog.models import Product, Sku, StockMovement
from miniback.core.models import IdempotencyKey
from orders.models import Order, OrderEvent, OrderLine, new_number


def names(model: type[Model]) -> list[str]:
    return [str(field.column) for field in model._meta.concrete_fields]


def selected(*models: type[Model]) -> str:
    return ", ".join(f"{m._meta.db_table}.{name}" for m in models for name in names(m))


TABLE: dict[type[Model], str] = {
    model: model._meta.db_table
    for model in (
        Address,
        IdempotencyKey,
        Order,
        OrderEvent,
        OrderLine,
        Product,
        Session,
        Sku,
        StockMovement,
        User,
    )
}
SESSION = (
    f"SELECT {selected(Session, User)} FROM {TABLE[Session]} JOIN {TABLE[User]} "
    f"ON {TABLE[User]}.id = {TABLE[Session]}.user_id WHERE {TABLE[Session]}.id = %s "
    f"AND {TABLE[Session]}.revoked_at IS NULL AND {TABLE[User]}.is_active = %s"
)
TAKE = f"UPDATE {TABLE[Sku]} SET stock = stock - %s WHERE id = %s AND stock >= %s"
SKUS = (
    f"SELECT {selected(Sku, Product)} FROM {TABLE[Sku]} JOIN {TABLE[Product]} "
    f"ON {TABLE[Product]}.id = {TABLE[Sku]}.product_id WHERE {TABLE[Sku]}.id IN (%s, %s)"
)
ADDRESS = f"SELECT {selected(Address)} FROM {TABLE[Address]} WHERE user_id = %s AND id = %s"
DONE = f"UPDATE {TABLE[IdempotencyKey]} SET kind = %s, object_id = %s WHERE id = %s"


def insert(cursor: Any, model: type[Model], *rows: dict[str, Any]) -> int:
    """Insert rows by one statement; return the first's id."""
    columns = [name for name in names(model) if name != "id"]
    quoted = ", ".join(map(connection.ops.quote_name, columns))
    marks = "(" + ", ".join(["%s"] * len(columns)) + ")"
    returning = "" if connection.vendor == "mysql" and len(rows) > 1 else " RETURNING id"
    cursor.execute(
        f"INSERT INTO {TABLE[model]} ({quoted}) VALUES {', '.join([marks] * len(rows))}"
        + returning,
        [row.get(name, "") for row in rows for name in columns],
    )
    return int(cursor.fetchone()[0]) if returning else 0


@csrf_exempt
def raw_orders(request: HttpRequest) -> HttpResponse:
    """Two lines, one piece of each."""
    body = orjson.loads(request.body)
    skus, now = sorted(line["sku"] for line in body["lines"]), timezone.now()
    moment = connection.ops.adapt_datetimefield_value(now)
    with connection.cursor() as cursor:
        cursor.execute(SESSION, [body["session"], True])
        session = dict(zip(names(Session) + names(User), cursor.fetchone(), strict=False))
        user = session["user_id"]
        with transaction.atomic():
            order = place(cursor, body, user, skus, now, moment)
    return HttpResponse(
        orjson.dumps(order, default=str), content_type="application/json", status=201
    )


def place(
    cursor: Any, body: dict[str, Any], user: int, skus: list[int], now: Any, moment: Any
) -> dict[str, Any]:
    number = new_number("O")
    key = {"user_id": user, "key": body["key"], "request_hash": secrets.token_hex(32)}
    key_id = insert(cursor, IdempotencyKey, {**key, "created_at": moment})
    for sku in skus:
        cursor.execute(TAKE, [1, sku, 1])
        if cursor.rowcount != 1:
            raise RuntimeError("out of stock")
    cursor.execute(SKUS, skus)
    goods = {row[0]: dict(zip(names(Sku), row, strict=False)) for row in cursor.fetchall()}
    moves = [
        {
            "sku_id": sku, "kind": "reserve", "delta": -1, "reference": number,
            "event_key": f"reserve:{number}:{sku}", "created_at": moment,
        }
        for sku in skus
    ]  # fmt: skip
    insert(cursor, StockMovement, *moves)
    cursor.execute(ADDRESS, [user, body["address"]])
    address = dict(zip(names(Address), cursor.fetchone(), strict=True))
    order = order_row(number, user, address, [goods[sku] for sku in skus], now, moment)
    order_id = insert(cursor, Order, order)
    lines = [line_row(order_id, sku, goods[sku]) for sku in skus]
    insert(cursor, OrderLine, *lines)
    event = {
        "order_id": order_id, "event_key": f"{number}:pending_payment", "kind": "status",
        "to_status": "pending_payment", "actor": "customer", "user_id": user, "created_at": moment,
    }  # fmt: skip
    insert(cursor, OrderEvent, event)
    cursor.execute(DONE, ["orders.Order", str(order_id), key_id])
    return {**order, "lines": lines, "events": [event]}


COPIED = (
    "recipient",
    "phone",
    "phone_hash",
    "phone_tail_hash",
    "province",
    "city",
    "district",
    "detail",
    "region_code",
)
EMPTY = (
    "claimed_coupon_id",
    "paid_at",
    "shipped_at",
    "completed_at",
    "cancelled_at",
    "reminded_at",
    "hidden_at",
    "reviewed_at",
)


def order_row(
    number: str, user: int, address: dict[str, Any], goods: list[Any], now: Any, moment: Any
) -> dict[str, Any]:
    total = sum(int(sku["price_fen"]) for sku in goods)
    return {
        **{name: address[name] for name in COPIED}, **dict.fromkeys(EMPTY), "number": number,
        "user_id": user, "status": "pending_payment", "goods_fen": total, "payable_fen": total,
        "freight_fen": 0, "discount_fen": 0, "freight_discount_fen": 0, "placed_at": moment,
        "placed_on": timezone.localdate(now), "is_flagged": False,
        "pay_before": connection.ops.adapt_datetimefield_value(now + timedelta(minutes=30)),
    }  # fmt: skip


def line_row(order_id: int, sku: int, goods: dict[str, Any]) -> dict[str, Any]:
    return {
        "order_id": order_id, "sku_id": sku, "product_id": goods["product_id"],
        "name": "龙井绿茶", "sku_code": goods["code"], "options": "{}", "quantity": 1,
        "unit_fen": goods["price_fen"], "discount_fen": 0, "refunded_quantity": 0,
        "refunded_fen": 0, "released_quantity": 0, "shipped_quantity": 0, "reviewed_at": None,
    }  # fmt: skip
