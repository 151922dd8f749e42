"""What staff book about money that moved outside the shop, or never moved."""

from functools import partial
from typing import Any

import pytest
from django.db.models import Sum
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from miniback.core.errors import InvalidFields
from miniback.platforms.contract import PlatformRefund, Trade, TradeState
from orders.models import (
    BillDifference,
    Carrier,
    DifferenceKind,
    LedgerEntry,
    Order,
    Payment,
    Refund,
)
from orders.services.after_sales import request_refund
from orders.services.cancellation import cancel_order
from orders.services.corrections import (
    AlreadyResolved,
    Correction,
    CorrectionDoesNotFit,
    book_amount,
    explain_difference,
    fitting,
    mark_foreign,
)
from orders.services.difference_rows import Account, Discrepancy, account_of, record_discrepancies
from orders.services.discrepancies import record_unknown_refund
from orders.services.fulfillment import ship_order
from orders.services.payment_corrections import (
    RefundUnderWay,
    book_payment,
    book_to_order,
    give_back,
    keep_money,
    void_payment,
)
from orders.services.refund_approvals import SecondApproval
from orders.services.refund_claims import OverRefund, left_of
from orders.services.refund_corrections import book_external_refund, reverse_refund
from orders.services.refund_decisions import approve_refund, refund_order
from orders.services.refund_steps import RefundLowered, pay_out_refund, reapply_refund
from orders.services.refunds import record_refund, send_due_refunds
from orders.services.settlement import Mismatch, record_trade
from orders.status import Actor, RefundKind
from tests.factories import make_address, make_customer, make_order, make_sku, make_staff, pay
from tests.threads import together

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def clerk(sandbox: Any) -> User:
    return make_staff()


@pytest.fixture
def bought(sandbox: Any) -> Order:
    """Two pieces at 19.90 of a stock of ten, paid by WeChat."""
    return pay(make_pending())


def make_pending() -> Order:
    customer = make_customer()
    make_address(customer)
    return make_order(customer, sku=make_sku(price_fen=1990, stock=10), quantity=2)


def payment_of(order: Order) -> Payment:
    return Payment.objects.get(order=order)


def ledger(order: Order | None = None) -> dict[str, int]:
    """What stands in each account, zeros apart."""
    entries = LedgerEntry.objects.all()
    if order is not None:
        entries = entries.filter(transaction__order=order)
    sums = entries.values_list("account").annotate(Sum("amount_fen")).order_by("account")
    return {account: int(fen) for account, fen in sums if fen}


def ship(order: Order) -> None:
    carrier, _new = Carrier.objects.get_or_create(code="SF", defaults={"name": "顺丰"})
    ship_order(
        order, carrier=carrier, tracking_number="SF123456789", user=make_staff(username="packer")
    )


def missing_payment(payment: Payment) -> BillDifference:
    return differ(payment, DifferenceKind.NOT_THEIRS, theirs_fen=None, ours_fen=3980)


def differ(
    payment: Payment,
    kind: DifferenceKind,
    *,
    is_refund: bool = False,
    number: str = "",
    **amounts: Any,
) -> BillDifference:
    one = Discrepancy(
        kind=kind,
        is_refund=is_refund,
        number=number or payment.number,
        payment_number=payment.number,
        transaction_id=payment.transaction_id or "",
        payment=payment,
        **amounts,
    )
    (row,) = record_discrepancies(account_of(payment), [one])
    return row


def unknown_payment(
    payment: Payment, *, theirs_fen: int = 3980, number: str = "P-lost"
) -> BillDifference:
    """Money at the account of ``payment`` of which nobody here knows."""
    one = Discrepancy(
        kind=DifferenceKind.NOT_OURS,
        is_refund=False,
        number=number,
        payment_number=number,
        transaction_id=f"42{number}",
        theirs_fen=theirs_fen,
        ours_fen=None,
    )
    (row,) = record_discrepancies(account_of(payment), [one])
    return row


def unknown_refund(
    payment: Payment, fen: int | None = 1000, number: str = "console-1"
) -> BillDifference:
    return record_unknown_refund(
        payment, number=number, transaction_id="50" if number else "", theirs_fen=fen
    )


# Refunds made elsewhere


def test_book_external_refund_lowers_what_is_left(bought: Order, clerk: User) -> None:
    payment = payment_of(bought)
    row = book_external_refund(unknown_refund(payment), user=clerk, note="console")
    refund = Refund.objects.get()
    assert (row.status, row.resolution, row.resolved_by) == ("resolved", "refund_booked", clerk)
    assert (refund.kind, refund.status, refund.amount_fen) == ("external", "succeeded", 1000)
    assert refund.out_refund_no == "console-1"
    assert left_of(payment) == 2980
    assert ledger(bought) == {
        "platform:wechat": 2980, "corrections": 1000, "goods": -3980,
    }  # fmt: skip
    bought.refresh_from_db()
    assert bought.status == "paid"


def test_book_external_refund_of_all_cancels_what_was_not_shipped(
    bought: Order, clerk: User
) -> None:
    row = unknown_refund(payment_of(bought), 3980)
    book_external_refund(row, user=clerk, note="console")
    bought.refresh_from_db()
    sku = bought.lines.get().sku
    assert (bought.status, sku.stock) == ("cancelled", 10)
    assert "platform:wechat" not in ledger(bought)
    assert left_of(payment_of(bought)) == 0


def test_book_external_refund_of_all_leaves_what_was_shipped(bought: Order, clerk: User) -> None:
    ship(bought)
    row = unknown_refund(payment_of(bought), 3980)
    book_external_refund(row, user=clerk, note="console")
    bought.refresh_from_db()
    assert bought.status == "shipped"
    assert ledger(bought) == {"corrections": 3980, "goods": -3980}


def test_book_external_refund_refuses_more_than_is_left(bought: Order, clerk: User) -> None:
    payment = payment_of(bought)
    row = unknown_refund(payment, 3981)
    with pytest.raises(OverRefund):
        book_external_refund(row, user=clerk, note="x")
    row.refresh_from_db()
    assert (row.status, Refund.objects.count(), left_of(payment)) == ("open", 0, 3980)


def test_book_external_refund_asks_for_what_nobody_has_named(bought: Order, clerk: User) -> None:
    payment = payment_of(bought)
    row = unknown_refund(payment, None, "")
    assert fitting(row) == {Correction.BOOK_REFUND, Correction.EXPLAIN}
    for amount_fen in (None, 0, 3981):
        with pytest.raises(InvalidFields):
            book_external_refund(row, user=clerk, note="x", amount_fen=amount_fen)
    book_external_refund(row, user=clerk, note="x", amount_fen=500, refund_number="console-9")
    assert Refund.objects.get().out_refund_no == "console-9"
    assert left_of(payment) == 3480


@pytest.mark.parametrize("end", ["rejected", "withdrawn", "requested"])
def test_book_external_refund_of_one_that_was_not_agreed_here(
    bought: Order, clerk: User, end: str
) -> None:
    """Rejected here and paid there: its own claim stays as it is."""
    payment = payment_of(bought)
    line = bought.lines.get()
    mine = Refund.objects.create(
        order=bought, payment=payment, number="R1", out_refund_no="R1", amount_fen=1990,
        status=end, reason="x", kind=RefundKind.REFUND_ONLY, created_at=timezone.now(),
    )  # fmt: skip
    book_external_refund(unknown_refund(payment, 1990, "R1"), user=clerk, note="paid there")
    mine.refresh_from_db()
    assert (mine.status, mine.amount_fen, mine.out_refund_no) == (end, 1990, None)
    external = Refund.objects.get(kind="external")
    assert (external.out_refund_no, external.amount_fen) == ("R1", 1990)
    assert line.released_quantity == 0


def test_explain_is_refused_where_money_is_missing(bought: Order, clerk: User) -> None:
    payment = payment_of(bought)
    rows = [
        unknown_refund(payment),
        unknown_payment(payment),
        missing_payment(payment),
        differ(payment, DifferenceKind.AMOUNT, theirs_fen=3979, ours_fen=3980),
        differ(payment, DifferenceKind.NOT_THEIRS, is_refund=True, theirs_fen=None, ours_fen=1),
    ]
    for row in rows:
        with pytest.raises(CorrectionDoesNotFit):
            explain_difference(row, user=clerk, note="x")
    assert BillDifference.objects.filter(status="open").count() == 5
    transaction = differ(payment, DifferenceKind.TRANSACTION, theirs_fen=3980, ours_fen=3980)
    explain_difference(transaction, user=clerk, note="the console shows both")
    with pytest.raises(AlreadyResolved):
        explain_difference(transaction, user=clerk, note="again")


# Payments that never came


def test_void_payment_cancels_what_was_not_shipped(bought: Order, clerk: User) -> None:
    row = void_payment(missing_payment(payment_of(bought)), user=clerk, note="never came")
    bought.refresh_from_db()
    payment = payment_of(bought)
    assert (row.resolution, payment.status, bought.status) == (
        "payment_voided", "voided", "cancelled",
    )  # fmt: skip
    assert payment.voided_at is not None
    assert bought.lines.get().sku.stock == 10
    assert ledger() == {}


def test_void_payment_is_the_shops_loss_after_shipment(bought: Order, clerk: User) -> None:
    ship(bought)
    void_payment(missing_payment(payment_of(bought)), user=clerk, note="never came")
    bought.refresh_from_db()
    assert bought.status == "shipped"
    assert ledger(bought) == {"corrections": 3980, "goods": -3980}


def test_void_payment_waits_for_refunds_under_way(bought: Order, clerk: User) -> None:
    line = bought.lines.get().pk
    refund = refund_order(
        bought, quantities={line: 1}, freight_fen=None, kind=RefundKind.REFUND_ONLY,
        reason="x", user=clerk,
    )  # fmt: skip
    row = missing_payment(payment_of(bought))
    with pytest.raises(RefundUnderWay) as refusal:
        void_payment(row, user=clerk, note="x")
    assert refund.number in str(refusal.value.detail)
    Refund.objects.update(status="failed")
    void_payment(row, user=clerk, note="never came")
    assert Refund.objects.get().status == "written_off"
    assert ledger(bought).get("customer_refunds", 0) == 0
    assert "platform:wechat" not in ledger(bought)


def paid_trade(payment: Payment) -> Trade:
    return Trade(
        number=payment.number,
        state=TradeState.PAID,
        platform_state="SUCCESS",
        transaction_id=payment.transaction_id or "4200",
        amount_fen=3980,
        currency="CNY",
        app_id=payment.app_id,
        merchant_id=payment.merchant_id,
        paid_at=timezone.now(),
    )


def test_a_voided_payment_that_came_all_the_same_goes_back(bought: Order, clerk: User) -> None:
    void_payment(missing_payment(payment_of(bought)), user=clerk, note="never came")
    record_trade("wechat", paid_trade(payment_of(bought)))
    payment = payment_of(bought)
    assert (payment.status, payment.is_applied) == ("paid", False)
    assert (Refund.objects.get().amount_fen, Refund.objects.get().status) == (3980, "approved")
    assert ledger(bought) == {"platform:wechat": 3980, "customer_refunds": -3980}


def test_a_voided_payment_of_shipped_goods_is_no_loss_when_it_comes(
    bought: Order, clerk: User
) -> None:
    ship(bought)
    for _ in range(2):
        void_payment(missing_payment(payment_of(bought)), user=clerk, note="never came")
        record_trade("wechat", paid_trade(payment_of(bought)))
        payment = payment_of(bought)
        assert (payment.status, payment.is_applied) == ("paid", True)
        assert ledger(bought) == {"platform:wechat": 3980, "goods": -3980}


# Refunds that were never made


def succeed(refund: Refund) -> None:
    """It was sent, and the platform has paid it."""
    Refund.objects.filter(pk=refund.pk, sent_at=None).update(sent_at=timezone.now())
    answer = PlatformRefund(
        refund.out_refund_no or "", refund.payment.number, "50", "SUCCESS",
        int(refund.amount_fen), "CNY",
    )  # fmt: skip
    assert record_refund(answer) is not None


def test_reverse_refund_is_owed_again(bought: Order, clerk: User) -> None:
    line = bought.lines.get().pk
    refund = refund_order(
        bought, quantities={line: 1}, freight_fen=None, kind=RefundKind.REFUND_ONLY,
        reason="x", user=clerk,
    )  # fmt: skip
    payment = payment_of(bought)
    for _ in range(2):
        succeed(refund)
        number = Refund.objects.get().out_refund_no
        row = differ(
            payment, DifferenceKind.NOT_THEIRS, is_refund=True, number=number,
            theirs_fen=None, ours_fen=1990,
        )  # fmt: skip
        assert row.status == "open"
        reverse_refund(row, user=clerk, note="not in the console")
        refund = Refund.objects.select_related("payment").get()
        assert (refund.status, refund.due_at, refund.succeeded_at) == ("failed", None, None)
        assert "not in the console" in refund.last_error
        assert ledger(bought) == {
            "platform:wechat": 3980, "customer_refunds": -1990, "goods": -1990,
        }  # fmt: skip


def test_reverse_refund_of_a_wrong_booking_takes_it_back(bought: Order, clerk: User) -> None:
    payment = payment_of(bought)
    book_external_refund(unknown_refund(payment), user=clerk, note="console")
    row = differ(
        payment, DifferenceKind.NOT_THEIRS, is_refund=True, number="console-1",
        theirs_fen=None, ours_fen=1000,
    )  # fmt: skip
    reverse_refund(row, user=clerk, note="wrong number")
    assert Refund.objects.get().status == "rejected"
    assert left_of(payment) == 3980
    assert ledger(bought) == {"platform:wechat": 3980, "goods": -3980}
    # The bill names it after all.
    again = unknown_refund(payment)
    assert again.status == "open"
    book_external_refund(again, user=clerk, note="it was right")
    assert left_of(payment) == 2980


# Payments that we do not know


def test_fitting_names_what_can_be_done(bought: Order) -> None:
    payment = payment_of(bought)
    assert fitting(unknown_payment(payment)) == {
        Correction.BOOK_TO_ORDER, Correction.GIVE_BACK, Correction.KEEP, Correction.FOREIGN,
    }  # fmt: skip
    assert fitting(missing_payment(payment)) == {Correction.VOID_PAYMENT}
    assert fitting(unknown_refund(payment)) == {Correction.BOOK_REFUND, Correction.EXPLAIN}
    # Of another account under our number: nothing of ours.
    other = Discrepancy(
        DifferenceKind.NOT_OURS, False, payment.number, payment.number, "9", 1, None
    )
    (row,) = record_discrepancies(Account("wechat", "wx-other", "1900"), [other])
    assert fitting(row) == {Correction.FOREIGN}


def test_book_to_order_pays_the_order_that_waits_for_it(bought: Order, clerk: User) -> None:
    pending = make_pending()
    row = unknown_payment(payment_of(bought))
    with pytest.raises(InvalidFields):
        book_to_order(row, user=clerk, note="x", order_number="O-none")
    book_to_order(row, user=clerk, note="restored", order_number=pending.number.lower())
    pending.refresh_from_db()
    payment = payment_of(pending)
    assert (pending.status, payment.number, payment.is_applied) == ("paid", "P-lost", True)
    assert payment.merchant_id == payment_of(bought).merchant_id
    assert ledger(pending) == {"platform:wechat": 3980, "goods": -3980}
    row.refresh_from_db()
    assert (row.resolution, row.payment) == ("payment_booked", payment)


@pytest.mark.parametrize("theirs_fen", [3979, 3980])
def test_book_to_order_gives_back_what_no_order_waits_for(
    bought: Order, clerk: User, theirs_fen: int
) -> None:
    pending = make_pending()
    if theirs_fen == 3980:
        cancel_order(pending, actor=Actor.STAFF, reason="x")
    row = unknown_payment(payment_of(bought), theirs_fen=theirs_fen)
    book_to_order(row, user=clerk, note="restored", order_number=pending.number)
    refund = Refund.objects.get()
    assert (refund.kind, refund.status, refund.amount_fen) == ("auto", "approved", theirs_fen)
    assert payment_of(pending).is_applied is False


def test_give_back_returns_money_without_an_order(bought: Order, clerk: User) -> None:
    row = give_back(unknown_payment(payment_of(bought)), user=clerk, note="nobody's")
    payment = Payment.objects.get(number="P-lost")
    assert (row.resolution, payment.order, payment.status) == ("money_returned", None, "paid")
    refund = Refund.objects.get()
    assert (refund.order, refund.amount_fen, refund.status) == (None, 3980, "approved")
    succeed(refund)
    assert Refund.objects.get().status == "succeeded"
    assert ledger() == ledger(bought)


def test_give_back_of_a_large_sum_needs_two_people(
    bought: Order, clerk: User, settings: Any
) -> None:
    settings.REFUND_SECOND_APPROVAL_FEN = 3980
    row = unknown_payment(payment_of(bought))
    assert give_back(row, user=clerk, note="nobody's").status == "open"
    assert not Refund.objects.exists()
    with pytest.raises(SecondApproval):
        give_back(row, user=clerk, note="nobody's")
    other = make_staff(username="other")
    assert give_back(row, user=other, note="nobody's").status == "resolved"
    refund = Refund.objects.get()
    assert (refund.first_approved_by, refund.decided_by) == (clerk, other)


def test_keep_money_makes_it_the_shops(bought: Order, clerk: User) -> None:
    row = keep_money(unknown_payment(payment_of(bought), theirs_fen=500), user=clerk, note="tip")
    assert row.resolution == "money_kept"
    assert ledger() == {"platform:wechat": 4480, "goods": -3980, "corrections": -500}
    assert not Refund.objects.exists()


def test_mark_foreign_books_nothing(bought: Order, clerk: User) -> None:
    before = ledger()
    row = mark_foreign(unknown_payment(payment_of(bought)), user=clerk, note="our till")
    assert (row.resolution, ledger()) == ("foreign", before)
    # The next bill names it again, and nothing is open.
    assert unknown_payment(payment_of(bought)).status == "resolved"
    assert unknown_payment(payment_of(bought), theirs_fen=1).status == "open"


def test_book_payment_believes_the_platform(bought: Order, clerk: User) -> None:
    """Another amount came than was asked for: it goes back whole."""
    pending = make_pending()
    payment = Payment.objects.create(
        order=pending, channel="wechat", number="P-odd", amount_fen=3980, created_at=timezone.now(),
        app_id=payment_of(bought).app_id, merchant_id=payment_of(bought).merchant_id,
    )  # fmt: skip
    row = differ(payment, DifferenceKind.AMOUNT, theirs_fen=3900, ours_fen=3980)
    assert fitting(row) == {Correction.BOOK_PAYMENT}
    book_payment(row, user=clerk, note="as the console says")
    payment.refresh_from_db()
    pending.refresh_from_db()
    assert (payment.status, payment.amount_fen, payment.is_applied) == ("paid", 3900, False)
    assert (pending.status, Refund.objects.get().amount_fen) == ("pending_payment", 3900)


@pytest.mark.parametrize(("theirs_fen", "is_refund", "at_platform"), [
    (3979, False, 3979), (3981, False, 3981), (1000, True, 3970),
])  # fmt: skip
def test_book_amount_goes_to_corrections(
    bought: Order, clerk: User, theirs_fen: int, is_refund: bool, at_platform: int
) -> None:
    payment = payment_of(bought)
    ours = 990 if is_refund else 3980
    row = differ(
        payment, DifferenceKind.AMOUNT, is_refund=is_refund, theirs_fen=theirs_fen, ours_fen=ours
    )
    book_amount(row, user=clerk, note="bank charge")
    assert ledger(bought)["platform:wechat"] == at_platform
    assert ledger(bought)["corrections"] == 3980 - at_platform
    row.refresh_from_db()
    assert row.resolution == "amount_booked"
    again = differ(
        payment, DifferenceKind.AMOUNT, is_refund=is_refund, theirs_fen=theirs_fen, ours_fen=ours
    )
    assert again.status == "resolved"


# The page


def test_the_page_of_a_difference_shows_only_what_fits(
    bought: Order, clerk: User, client: Any
) -> None:
    client.force_login(clerk)
    row = unknown_refund(payment_of(bought))
    url = reverse("admin:orders_billdifference_change", args=[row.pk])
    page = client.get(url).content.decode()
    assert "book-refund" in page
    assert "void-payment" not in page
    answer = client.post(
        reverse("admin:orders_billdifference_book-refund", args=[row.pk]), {"note": "控制台退款"}
    )
    assert answer.status_code == 302
    row.refresh_from_db()
    assert (row.status, row.note, row.resolved_by) == ("resolved", "控制台退款", clerk)
    refused = client.post(
        reverse("admin:orders_billdifference_void-payment", args=[row.pk]), {"note": "x"}
    )
    assert refused.status_code == 302
    assert payment_of(bought).status == "paid"
    client.force_login(User.objects.create_user(username="viewer", is_staff=True))
    assert client.post(
        reverse("admin:orders_billdifference_book-refund", args=[row.pk]), {"note": "x"}
    ).status_code == 403  # fmt: skip


def test_the_page_asks_for_an_amount_that_nobody_has_named(
    bought: Order, clerk: User, client: Any
) -> None:
    client.force_login(clerk)
    row = unknown_refund(payment_of(bought), None, "")
    url = reverse("admin:orders_billdifference_book-refund", args=[row.pk])
    assert "refund_number" in client.get(url).content.decode()
    client.post(url, {"note": "x", "amount_fen": "10.00", "refund_number": "console-2"})
    assert Refund.objects.get().amount_fen == 1000


def test_many_differences_are_marked_at_once(bought: Order, clerk: User, client: Any) -> None:
    client.force_login(clerk)
    payment = payment_of(bought)
    rows = [unknown_payment(payment, number=f"till-{n}") for n in range(60)]
    rows.append(missing_payment(payment))
    data = {
        "action": "mark_foreign", "_selected_action": [row.pk for row in rows], "sure": "1",
        "note": "our till",
    }  # fmt: skip
    url = reverse("admin:orders_billdifference_changelist")
    assert client.post(url, data).status_code == 302
    assert BillDifference.objects.filter(resolution="foreign", note="our till").count() == 60
    assert BillDifference.objects.get(status="open").number == payment.number
    assert client.get(url).status_code == 200


def test_a_stray_payment_is_given_back_through_the_platform(
    bought: Order, clerk: User, sandbox: Any
) -> None:
    """Of a trade that the platform does not know it fails, and is tried again under its number."""
    give_back(unknown_payment(payment_of(bought)), user=clerk, note="nobody's")
    send_due_refunds()
    refund = Refund.objects.get()
    assert (refund.status, refund.out_refund_no) == ("failed", "P-lostR1")


def test_two_members_book_one_refund_once(bought: Order, clerk: User) -> None:
    row = unknown_refund(payment_of(bought))
    other = make_staff(username="other")
    outcomes = together(
        partial(book_external_refund, row, user=user, note="console") for user in (clerk, other)
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == [
        "AlreadyResolved", "BillDifference",
    ]  # fmt: skip
    assert Refund.objects.count() == 1
    assert left_of(payment_of(bought)) == 2980


def test_a_failed_refund_is_lowered_by_what_was_booked_since(bought: Order, clerk: User) -> None:
    """The platform refuses more than was paid; when it is applied for again, it is for the rest."""
    line = bought.lines.get().pk
    refund = refund_order(
        bought, quantities={line: 2}, freight_fen=None, kind=RefundKind.REFUND_ONLY,
        reason="x", user=clerk,
    )  # fmt: skip
    Refund.objects.update(status="failed", sent_at=timezone.now(), due_at=None)
    for fen, number in ((1000, "console-1"), (500, "console-2")):
        book_external_refund(
            unknown_refund(payment_of(bought), fen, number), user=clerk, note="console"
        )
        Refund.objects.filter(pk=refund.pk).update(status="failed", sent_at=None, due_at=None)
        reapply_refund(refund, user=clerk)
    refund.refresh_from_db()
    assert (refund.amount_fen, refund.status) == (2480, "approved")
    succeed(refund)
    assert "platform:wechat" not in ledger(bought)
    assert "customer_refunds" not in ledger(bought)


def test_give_backs_of_a_day_count_together(clerk: User, settings: Any) -> None:
    """Each is below the limit of two members of staff; together they are not."""
    settings.REFUND_SECOND_APPROVAL_FEN = 2000
    account = Account("wechat", settings.WECHAT_APP_ID, settings.WECHATPAY_MCH_ID)
    for count in range(1, 4):
        number = f"P00000000000000000000{count}X"
        stray = Discrepancy(
            kind=DifferenceKind.NOT_OURS, is_refund=False, number=number, payment_number=number,
            transaction_id=f"420000000000000000{count}", theirs_fen=1999, ours_fen=None,
        )  # fmt: skip
        give_back(record_discrepancies(account, [stray])[0], user=clerk, note="n")
    assert Refund.objects.count() == 1


def test_parallel_approvals_of_a_day_count_together(clerk: User, settings: Any) -> None:
    """Of different orders, by one member of staff, at the same time."""
    settings.REFUND_SECOND_APPROVAL_FEN = 5000
    asked = [
        request_refund(
            order, quantities={order.lines.get().pk: 2}, kind=RefundKind.REFUND_ONLY, reason="r"
        )
        for order in (pay(make_pending()) for _ in range(3))
    ]
    together([lambda one=one: approve_refund(one, user=clerk) for one in asked])
    assert Refund.objects.filter(status="approved").count() == 1


def test_left_of_counts_an_amount_that_staff_booked(bought: Order, clerk: User) -> None:
    """The platform gave back 12.00, of which 2.00 were booked as a difference: 27.80 is left there."""
    payment = payment_of(bought)
    book_external_refund(unknown_refund(payment, 1000, "console-1"), user=clerk, note="console")
    more = differ(
        payment, DifferenceKind.AMOUNT, is_refund=True, number="console-1",
        theirs_fen=1200, ours_fen=1000,
    )  # fmt: skip
    book_amount(more, user=clerk, note="console")
    assert ledger()["platform:wechat"] == left_of(payment) == 2780


def test_pay_out_shows_what_is_left_before_anybody_pays(bought: Order, clerk: User) -> None:
    """39.80 failed, 10.00 were given back in the console: 29.80 is paid out, by who has seen it."""
    refund = refund_order(
        bought, quantities={bought.lines.get().pk: 2}, freight_fen=None,
        kind=RefundKind.REFUND_ONLY, reason="x", user=clerk,
    )  # fmt: skip
    Refund.objects.update(status="failed", due_at=None)
    book_external_refund(
        unknown_refund(payment_of(bought), 1000, "console-1"), user=clerk, note="console"
    )
    Refund.objects.filter(pk=refund.pk).update(out_refund_no=None, sent_at=None)
    with pytest.raises(RefundLowered):
        pay_out_refund(refund, user=clerk, reference="bank 1")
    refund.refresh_from_db()
    assert (refund.amount_fen, refund.status) == (2980, "failed")
    refund = pay_out_refund(refund, user=clerk, reference="bank 1")
    assert (refund.status, ledger()["shop_bank"]) == ("succeeded", -2980)
    assert "customer_refunds" not in ledger()


def test_another_amount_told_after_the_payment_ends_when_the_platform_agrees(
    bought: Order, clerk: User
) -> None:
    payment = payment_of(bought)
    wrong = paid_trade(payment)._replace(amount_fen=3979)
    with pytest.raises(Mismatch):
        record_trade("wechat", wrong)
    assert BillDifference.objects.get().status == "open"
    record_trade("wechat", paid_trade(payment))
    assert BillDifference.objects.get().status == "resolved"
