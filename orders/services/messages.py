"""Messages of the platform to a customer: each needs his consent, which it spends (PLATFORMS A6)."""

import re
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Identity, Platform
from miniback.core import outbox, providers
from miniback.core.checks import SANDBOX
from miniback.core.doctor import Finding
from miniback.core.errors import InvalidFields
from miniback.core.models import Lane
from miniback.core.money import format_yuan
from miniback.core.transactions import atomic
from miniback.platforms.errors import NoConsent, PlatformError, Refused
from orders.models import (
    MessageConsent,
    MessageKind,
    MessageTemplate,
    Order,
    Refund,
    Shipment,
)
from orders.status import OrderStatus

SEND_MESSAGE = "message.send"
COPY_ID = "Copy it from 订阅消息 > 我的模板."
UNPAID = OrderStatus.PENDING_PAYMENT
# Of one template; who agrees more often does not hear of more.
MAX_CONSENTS = 50
# Customers of a mini program read Chinese; these fit a "phrase".
STATUS = {
    MessageKind.PAID: "已付款",
    MessageKind.SHIPPED: "已发货",
    MessageKind.REFUNDED: "已退款",
    MessageKind.CLOSING_SOON: "待付款",
}


def templates_to_ask_for() -> list[MessageTemplate]:
    """What the client passes to ``wx.requestSubscribeMessage``, which takes three at a time."""
    return list(MessageTemplate.objects.filter(is_active=True).order_by("id"))


@atomic
def record_consents(identity: Identity, template_ids: Collection[str]) -> None:
    """The customer has agreed to one more message of each. Raises InvalidFields for a strange id."""
    if identity.platform != Platform.WECHAT:
        raise InvalidFields(template_ids=_("Only WeChat has these messages."))
    known = MessageTemplate.objects.filter(template_id__in=template_ids, is_active=True)
    templates = list(known.order_by("id"))
    if len(templates) != len(set(template_ids)):
        raise InvalidFields(template_ids=_("There is no such template."))
    for template in templates:
        MessageConsent.objects.get_or_create(
            identity=identity, template=template, defaults={"count": 0}
        )
        mine = MessageConsent.objects.filter(identity=identity, template=template)
        mine.filter(count__lt=MAX_CONSENTS).update(count=F("count") + 1)


def tell_customer(
    order: Order, kind: MessageKind, *, refund: Refund | None = None, shipment: Any = None
) -> None:
    """Leave word, in the transaction of what is told, where the customer has agreed to hear of it."""
    agreed = MessageConsent.objects.filter(
        template__kind=kind, template__is_active=True, identity__user=order.user_id, count__gt=0
    )
    if not agreed.exists():
        return
    about = refund.number if refund else shipment.pk if shipment else ""
    outbox.post(
        topic=SEND_MESSAGE,
        event_key=f"{SEND_MESSAGE}:{order.number}:{kind}:{about}",
        payload={
            "kind": kind,
            "number": order.number,
            "refund": refund.number if refund else None,
            "shipment": shipment.pk if shipment else None,
        },
        lane=Lane.WECHAT,
    )


def send_message(payload: dict[str, Any]) -> None:
    """Outbox handler of ``message.send``: ``{"kind", "number", "refund", "shipment"}``.

    Raises outbox.Undeliverable when it is out of date, no consent is left, or the platform will never
    take it.
    """
    order = Order.objects.get(number=payload["number"])
    template = MessageTemplate.objects.filter(kind=payload["kind"], is_active=True).first()
    is_late = payload["kind"] == MessageKind.CLOSING_SOON and order.status != UNPAID
    if template is None or is_late:
        raise outbox.Undeliverable("it is out of date")
    consents = MessageConsent.objects.filter(template=template, identity__user=order.user_id)
    consent = consents.filter(count__gt=0).select_related("identity").order_by("-id").first()
    if consent is None:
        raise outbox.Undeliverable("no consent is left")
    values = _values(order, payload)
    try:
        providers.wechat().send_message(
            openid=consent.identity.openid,
            template_id=template.template_id,
            page=template.page.replace("{number}", order.number),
            data={key: values[value] or "-" for key, value in template.fields.items()},
        )
    except NoConsent as error:
        # He has taken it back in the platform's settings.
        MessageConsent.objects.filter(pk=consent.pk).update(count=0)
        raise outbox.Undeliverable(str(error)) from error
    except Refused as error:
        raise outbox.Undeliverable(str(error)) from error
    MessageConsent.objects.filter(pk=consent.pk, count__gt=0).update(count=F("count") - 1)


def _values(order: Order, payload: dict[str, Any]) -> dict[str, str]:
    """What a template's fields may say (``orders.models.message.VALUES``)."""
    refund = Refund.objects.filter(number=payload["refund"] or "").first()
    parcels = Shipment.objects.select_related("carrier").filter(pk=payload["shipment"])
    shipment = parcels.first() if payload["shipment"] else None
    moments: dict[str, datetime | None] = {
        MessageKind.PAID: order.paid_at,
        MessageKind.SHIPPED: shipment.shipped_at if shipment else None,
        MessageKind.REFUNDED: refund.succeeded_at if refund else None,
        MessageKind.CLOSING_SOON: order.pay_before,
    }
    moment = moments[payload["kind"]]
    return {
        "number": order.number,
        "goods": _goods(order),
        "amount": f"{format_yuan(refund.amount_fen if refund else order.payable_fen)}元",
        "time": f"{timezone.localtime(moment):%Y年%m月%d日 %H:%M}" if moment else "",
        "status": STATUS[payload["kind"]],
        "carrier": shipment.carrier.name if shipment else "",
        "tracking_number": shipment.tracking_number if shipment else "",
    }


def _goods(order: Order) -> str:
    names = list(order.lines.order_by("id").values_list("name", flat=True)[:2])
    return names[0] if len(names) == 1 else f"{names[0]}等"


def examine_templates() -> Iterator[Finding]:
    """What the doctor says of the shop's templates without asking."""
    try:
        templates = templates_to_ask_for()
    except DatabaseError:
        yield Finding("DATABASE_URL", "leads to no tables of the shop", "Run manage.py migrate.")
        return
    for template in templates:
        is_id = re.fullmatch(r"[\w-]{43}", template.template_id, re.ASCII)
        if not is_id and SANDBOX not in settings.WECHAT_APP_ID:
            yield Finding(
                f"message template “{template.kind}”", "has an id that WeChat never gives", COPY_ID
            )


def ask_about_templates() -> Iterator[Finding]:
    """What it says after asking WeChat which templates the account has, with which fields."""
    templates = templates_to_ask_for()
    if not templates or not settings.WECHAT_APP_ID:
        return
    try:
        known = providers.wechat().message_templates()
    except PlatformError as error:
        yield Finding("message templates", f"cannot be asked for ({error})", "Mend the app first.")
        return
    for template in templates:
        name, wanted = f"message template “{template.kind}”", set(template.fields)
        there = known.get(template.template_id)
        if there is None:
            yield Finding(name, "is not in the account", COPY_ID)
        elif wanted != there:
            yield Finding(
                name,
                f"has the fields {', '.join(sorted(wanted))}",
                f"WeChat's template has {', '.join(sorted(there))}.",
            )
