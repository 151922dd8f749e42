"""What may become of an order, from the ordinary to the odd."""

from collections.abc import Callable

from catalog.services.reviews import follow_up_review, reply_to_review
from miniback.core.providers import payment_provider
from orders.models import (
    Refund,
)
from orders.services import desk
from orders.services.after_sales import register_return, withdraw_refund
from orders.services.cancellation import cancel_order
from orders.services.fulfillment import hide_order
from orders.services.refund_decisions import (
    approve_refund,
    receive_return,
    refund_order,
    reject_refund,
)
from orders.services.refund_redirects import redirect_refund
from orders.services.refund_steps import pay_out_refund, reapply_refund, write_off_refund
from orders.services.reviews import review_order
from orders.status import Actor, RefundKind
from tests.factories import (
    make_claim,
)
from tests.history.shop import FREIGHT_FEN, OFF_FEN, Shop
from tests.notices import transaction


def unpaid(shop: Shop) -> None:
    shop.ask(shop.place())


def cancelled(shop: Shop) -> None:
    order = shop.place(coupon=make_claim(shop.users[0], off=OFF_FEN))
    cancel_order(order, actor=Actor.CUSTOMER, user=order.user, reason="不想要了")
    hide_order(order)


def paid_too_late(shop: Shop) -> None:
    order = shop.place()
    payment, params = shop.ask(order)
    cancel_order(order, actor=Actor.JOB, reason="超时未支付")
    shop.collect(payment, params)
    shop.settle(Refund.objects.get(payment=payment))


def paid(shop: Shop) -> None:
    order = shop.pay(shop.place(coupon=make_claim(shop.users[0], off=OFF_FEN)))
    desk.write_note(order, staff_note="送礼", is_flagged=True, user=shop.clerk)


def adjusted(shop: Shop) -> None:
    order = shop.place()
    desk.adjust_price(order, discount_fen=1001, reason="老客户", user=shop.clerk)
    order.refresh_from_db()
    shop.pay(order)


def called_off(shop: Shop) -> None:
    order = shop.pay(shop.place(coupon=make_claim(shop.users[0], off=OFF_FEN)))
    desk.call_off(order, reason="缺货", user=shop.clerk)
    shop.settle(Refund.objects.get(order=order))


def partly_back(shop: Shop) -> None:
    order = shop.pay(shop.place(pieces=3, coupon=make_claim(shop.users[0], off=OFF_FEN)))
    for _ in range(2):
        refund = approve_refund(shop.want_back(order), user=shop.clerk)
    shop.settle(refund)


def owed(shop: Shop) -> None:
    order = shop.pay(shop.place())
    approve_refund(shop.want_back(order), user=shop.clerk)


def partly_shipped(shop: Shop) -> None:
    shop.ship(shop.pay(shop.place()), pieces=1)


def wanted_back(shop: Shop) -> None:
    order = shop.pay(shop.place())
    shop.ship(order)
    order.refresh_from_db()
    shop.want_back(order, images=[shop.upload(order.user, "refund")])


def completed(shop: Shop) -> None:
    order = shop.complete(shop.place(coupon=make_claim(shop.users[1], off=OFF_FEN)))
    content = {"rating": 4, "text": "很好", "is_anonymous": False}
    images = [[], [shop.upload(order.user, "review")]]
    reviews = [
        {"line": line.pk, "images": pictures, **content}
        for line, pictures in zip(order.lines.order_by("id"), images, strict=True)
    ]
    written = review_order(order, reviews=reviews, user=order.user)
    reply_to_review(written[0], "谢谢")
    follow_up_review(written[1], text="还是很好", images=[])


def returning(shop: Shop) -> None:
    refund = shop.want_back(shop.complete(shop.place()), kind=RefundKind.RETURN)
    approve_refund(refund, user=shop.clerk)
    register_return(refund, carrier="顺丰速运", tracking_number="SF77")


def returned(shop: Shop) -> None:
    refund = shop.want_back(shop.complete(shop.place()), kind=RefundKind.RETURN)
    approve_refund(refund, user=shop.clerk)
    shop.settle(receive_return(refund, user=shop.clerk, is_restocked=True))


def rejected(shop: Shop) -> None:
    refund = shop.want_back(shop.complete(shop.place()))
    reject_refund(refund, user=shop.clerk, decision="已使用")


def withdrawn(shop: Shop) -> None:
    withdraw_refund(shop.want_back(shop.pay(shop.place())))


def abnormal(shop: Shop) -> None:
    fail(shop)


def paid_out(shop: Shop) -> None:
    refund = fail(shop)
    pay_out_refund(refund, user=shop.clerk, reference="ICBC 0099")
    pay_out_refund(refund, user=shop.second, reference="ICBC 0099")


def written_off(shop: Shop) -> None:
    refund = fail(shop)
    write_off_refund(refund, user=shop.clerk, note="顾客放弃")
    write_off_refund(refund, user=shop.second, note="顾客放弃")


def sent_to_the_shop(shop: Shop) -> None:
    """Of one the customer has it by now; another one waits, with a proposal."""
    for is_paid in (True, False):
        refund = redirect_refund(fail(shop), user=shop.clerk)
        shop.settle(refund)
        pay_out_refund(refund, user=shop.clerk, reference="ICBC 0100")
        if is_paid:
            pay_out_refund(refund, user=shop.second, reference="ICBC 0100")


def applied_for_again(shop: Shop) -> None:
    shop.sandbox.fault("wechatpay.refund", "closed")
    refund = approve_refund(shop.want_back(shop.pay(shop.place())), user=shop.clerk)
    shop.settle(refund)
    shop.settle(reapply_refund(refund, user=shop.clerk))


def fail(shop: Shop) -> Refund:
    shop.sandbox.fault("wechatpay.refund", "abnormal")
    refund = approve_refund(shop.want_back(shop.pay(shop.place())), user=shop.clerk)
    shop.settle(refund)
    return refund


def freight_back(shop: Shop) -> None:
    order = shop.complete(shop.place())
    refund = refund_order(
        order, quantities={}, freight_fen=FREIGHT_FEN, kind=RefundKind.REFUND_ONLY,
        reason="晚到", user=shop.clerk,
    )  # fmt: skip
    shop.settle(refund)


def free(shop: Shop) -> None:
    """It costs nothing: one of its lines goes back, the rest is cancelled."""
    coupon = make_claim(shop.users[1], off=OFF_FEN, kind="freight", amount_fen=0)
    order = shop.place(coupon=coupon)
    desk.adjust_price(order, discount_fen=int(order.goods_fen), reason="赠品", user=shop.clerk)
    order.refresh_from_db()
    refund = shop.want_back(order, pieces=2)
    approve_refund(refund, user=shop.clerk)


def noticed(shop: Shop) -> None:
    """Paid, and told by a notice; a second one is about nothing, a third about nobody's money."""
    order = shop.place()
    payment, params = shop.ask(order)
    shop.hand_over(payment, params)
    number = payment_provider("wechat").query(payment.number).transaction_id
    shop.notify(transaction(shop.sandbox, payment, transaction_id=number))
    shop.notify(transaction(shop.sandbox, payment, trade_state="NOTPAY"))


# Paid, however it goes on.
ORDINARY: tuple[Callable[[Shop], None], ...] = (
    cancelled, paid, adjusted, partly_shipped, wanted_back, completed, returning, rejected,
    withdrawn,
)  # fmt: skip
# These need the platform's answer.
WITH_PLATFORM: tuple[Callable[[Shop], None], ...] = (
    paid_too_late, called_off, partly_back, returned, abnormal, noticed, paid_out, written_off,
    sent_to_the_shop, applied_for_again, freight_back, free,
)  # fmt: skip
# Left as they are: a job would go on with them.
WAITING: tuple[Callable[[Shop], None], ...] = (unpaid, owed)
