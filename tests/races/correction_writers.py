"""Corrections and refunds of failed states, as staff carry them out in the back office."""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from orders.models import Bill, BillDifference, DifferenceKind, Payment, Refund
from orders.services.corrections import mark_foreign
from orders.services.difference_rows import Account, Discrepancy, record_discrepancies
from orders.services.discrepancies import record_unknown_refund
from orders.services.refund_steps import pay_out_refund, write_off_refund
from orders.services.refunds import record_refund, send_due_refunds
from orders.services.settlement import check_payment
from orders.status import RefundStatus
from tests.factories import make_staff
from tests.races.writers import (
    Act,
    Situation,
    approved_refund,
    asked,
    fill_in,
    money_there,
    owed,
    paid,
    postpone_refunds,
    serial,
    success_of,
    unpaid,
)
from tests.sandbox_process import SandboxProcess, until


def differ(kind: DifferenceKind, payment: Payment | None = None, **more: object) -> BillDifference:
    """A difference of a payment, or of one that nobody knows."""
    number = payment.number if payment else f"P{next(serial):021d}"
    about = {"is_refund": False, "number": number, "payment_number": number}
    about |= {"transaction_id": f"42{next(serial):020d}", "theirs_fen": 100, "ours_fen": None}
    account = Account("wechat", settings.WECHAT_APP_ID, settings.WECHATPAY_MCH_ID)
    one = Discrepancy(kind=kind, payment=payment, **{**about, **more})  # type: ignore[arg-type]
    return record_discrepancies(account, [one])[0]


def payment_of_paid() -> Payment:
    return Payment.objects.get(order=paid())


def correct(name: str, row: BillDifference, **form: str) -> Act:
    return fill_in(f"orders_billdifference_{name}", [row.pk], **{"note": "x", **form})


# Differences


def book_refund(_sandbox: SandboxProcess) -> Act:
    number = f"console-{next(serial)}"
    row = record_unknown_refund(
        payment_of_paid(), number=number, transaction_id=f"50{number}", theirs_fen=100
    )
    return correct("book-refund", row)


def reverse_refund(_sandbox: SandboxProcess) -> Act:
    refund = owed()
    record_refund(success_of(refund))
    amount = {"theirs_fen": None, "ours_fen": refund.amount_fen}
    about = {"is_refund": True, "number": refund.out_refund_no}
    row = differ(DifferenceKind.NOT_THEIRS, refund.payment, **about, **amount)
    return correct("reverse-refund", row)


def void_payment(_sandbox: SandboxProcess) -> Act:
    payment = payment_of_paid()
    amount = {"theirs_fen": None, "ours_fen": payment.amount_fen}
    return correct("void-payment", differ(DifferenceKind.NOT_THEIRS, payment, **amount))


def book_payment(sandbox: SandboxProcess) -> Act:
    """The bill has a payment that was closed here."""
    payment = money_there(sandbox, unpaid())
    Payment.objects.filter(pk=payment.pk).update(status="closed")
    amount = {"theirs_fen": payment.amount_fen}
    return correct("book-payment", differ(DifferenceKind.NOT_OURS, payment, **amount))


def book_to_order(_sandbox: SandboxProcess) -> Act:
    order = unpaid()
    row = differ(DifferenceKind.NOT_OURS, theirs_fen=order.payable_fen)
    return correct("book-to-order", row, order_number=order.number)


def give_back(_sandbox: SandboxProcess) -> Act:
    return correct("give-back", differ(DifferenceKind.NOT_OURS))


def keep(_sandbox: SandboxProcess) -> Act:
    return correct("keep", differ(DifferenceKind.NOT_OURS))


def book_amount(_sandbox: SandboxProcess) -> Act:
    payment = payment_of_paid()
    amounts = {"theirs_fen": payment.amount_fen - 1, "ours_fen": payment.amount_fen}
    return correct("book-amount", differ(DifferenceKind.AMOUNT, payment, **amounts))


def foreign(_sandbox: SandboxProcess) -> Act:
    return correct("foreign", differ(DifferenceKind.NOT_OURS))


def explain(_sandbox: SandboxProcess) -> Act:
    payment = payment_of_paid()
    amounts = {"theirs_fen": payment.amount_fen, "ours_fen": payment.amount_fen}
    return correct("explain", differ(DifferenceKind.TRANSACTION, payment, **amounts))


def open_again(_sandbox: SandboxProcess) -> Act:
    staff = make_staff(username=f"boss-{next(serial)}")
    row = mark_foreign(differ(DifferenceKind.NOT_OURS), user=staff, note="x")
    return correct("open-again", row)


def resolve_open_differences() -> None:
    """Of `open_again`: what is open is a broken rule until staff have resolved it."""
    staff = make_staff(username=f"boss-{next(serial)}")
    for row in BillDifference.objects.filter(status="open"):
        mark_foreign(row, user=staff, note="x")


# Bills


def missing_bill() -> Bill:
    """Each of a merchant of its own."""
    return Bill.objects.create(
        channel="wechat", merchant_id=f"19{next(serial):08d}", app_id="", row_count=0,
        day=timezone.localdate() - timedelta(days=2), paid_fen=0, refunded_fen=0,
        due_at=timezone.now(), attempts=100, last_error="x",
    )  # fmt: skip


def accept_bill(_sandbox: SandboxProcess) -> Act:
    return fill_in("orders_bill_accept", [missing_bill().pk], note="x")


def ask_again(_sandbox: SandboxProcess) -> Act:
    return fill_in("orders_bill_ask-again", [missing_bill().pk])


# Refunds


def refund_by_staff(_sandbox: SandboxProcess) -> Act:
    order = paid()
    form = {"kind": "refund_only", "reason": "x", f"line_{order.lines.get().pk}": "1"}
    return fill_in("orders_order_refund", [order.pk], **form)


def reapply(sandbox: SandboxProcess) -> Act:
    """For a refund that WeChat Pay has closed."""
    postpone_refunds()
    payment = money_there(sandbox, unpaid())
    check_payment(payment)
    sandbox.fault("wechatpay.refund", "closed")
    mine = Refund.objects.filter(pk=approved_refund(asked(payment.order)).pk)

    def is_closed() -> bool:
        mine.exclude(due_at=None).update(due_at=timezone.now())
        send_due_refunds()
        return mine.get().platform_status == "CLOSED"

    until(is_closed)
    return fill_in("orders_refund_reapply", [mine.get().pk])


def failed() -> Refund:
    refund = owed()
    later = timezone.now() + timedelta(hours=1)
    failed = {"status": RefundStatus.FAILED, "last_error": "x", "due_at": later}
    Refund.objects.filter(pk=refund.pk).update(**failed)
    return refund


def pay_out(_sandbox: SandboxProcess) -> Act:
    """The second member of staff, who confirms."""
    refund, first = failed(), make_staff(username=f"first-{next(serial)}")
    pay_out_refund(refund, user=first, reference="cash")
    return fill_in("orders_refund_pay-out", [refund.pk], reference="cash")


def propose_pay_out(_sandbox: SandboxProcess) -> Act:
    return fill_in("orders_refund_pay-out", [failed().pk], reference="cash")


def write_off(_sandbox: SandboxProcess) -> Act:
    refund, first = failed(), make_staff(username=f"first-{next(serial)}")
    write_off_refund(refund, user=first, note="gone")
    return fill_in("orders_refund_write-off", [refund.pk], note="gone")


CORRECTIONS: list[Situation] = [
    book_refund, reverse_refund, void_payment, book_payment, book_to_order, give_back, keep,
    book_amount, foreign, explain, open_again, accept_bill, ask_again,
    refund_by_staff, reapply, pay_out, propose_pay_out, write_off,
]  # fmt: skip
