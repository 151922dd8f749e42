"""The tables of states, cell by cell."""

import itertools

from orders.status import (
    CUSTOMER_ACTIONS,
    REFUND_ACTIONS,
    Actor,
    OrderStatus,
    RefundStatus,
    may_move,
    may_move_refund,
)

S, A = OrderStatus, Actor

ALLOWED = {
    (S.PENDING_PAYMENT, S.PAID, A.PLATFORM),
    (S.PENDING_PAYMENT, S.PAID, A.JOB),
    (S.PENDING_PAYMENT, S.CANCELLED, A.CUSTOMER),
    (S.PENDING_PAYMENT, S.CANCELLED, A.STAFF),
    (S.PENDING_PAYMENT, S.CANCELLED, A.JOB),
    (S.PAID, S.CANCELLED, A.PLATFORM),
    (S.PAID, S.CANCELLED, A.CUSTOMER),
    (S.PAID, S.CANCELLED, A.STAFF),
    (S.PAID, S.PARTLY_SHIPPED, A.STAFF),
    (S.PAID, S.SHIPPED, A.STAFF),
    (S.PARTLY_SHIPPED, S.SHIPPED, A.STAFF),
    (S.SHIPPED, S.COMPLETED, A.CUSTOMER),
    (S.SHIPPED, S.COMPLETED, A.JOB),
}


def test_every_cell() -> None:
    """6 x 6 x 4 cells: what is not listed is refused."""
    for start, end, actor in itertools.product(S, S, A):
        assert may_move(start, end, actor) == ((start, end, actor) in ALLOWED), (start, end, actor)


R = RefundStatus
REFUNDS = {
    (R.REQUESTED, R.WITHDRAWN, A.CUSTOMER), (R.REQUESTED, R.REJECTED, A.STAFF),
    (R.REQUESTED, R.APPROVED, A.STAFF), (R.REQUESTED, R.RETURNING, A.STAFF),
    (R.RETURNING, R.WITHDRAWN, A.CUSTOMER), (R.RETURNING, R.REJECTED, A.STAFF),
    (R.RETURNING, R.APPROVED, A.STAFF), (R.APPROVED, R.PROCESSING, A.PLATFORM),
    (R.APPROVED, R.SUCCEEDED, A.PLATFORM), (R.APPROVED, R.FAILED, A.PLATFORM),
    (R.PROCESSING, R.SUCCEEDED, A.PLATFORM), (R.PROCESSING, R.FAILED, A.PLATFORM),
    (R.FAILED, R.PROCESSING, A.PLATFORM), (R.FAILED, R.SUCCEEDED, A.PLATFORM),
    # Of nothing that was paid only goods come back.
    (R.APPROVED, R.SUCCEEDED, A.STAFF),
    # Every failed refund has a way out.
    (R.FAILED, R.APPROVED, A.STAFF), (R.FAILED, R.SUCCEEDED, A.STAFF),
    (R.FAILED, R.WRITTEN_OFF, A.STAFF), (R.SUCCEEDED, R.FAILED, A.STAFF),
    # The shop got it, and owes it.
    (R.APPROVED, R.TO_PAY_OUT, A.PLATFORM), (R.PROCESSING, R.TO_PAY_OUT, A.PLATFORM),
    (R.FAILED, R.TO_PAY_OUT, A.PLATFORM), (R.TO_PAY_OUT, R.SUCCEEDED, A.STAFF),
    (R.TO_PAY_OUT, R.WRITTEN_OFF, A.STAFF), (R.TO_PAY_OUT, R.FAILED, A.STAFF),
}  # fmt: skip


def test_every_cell_of_refunds() -> None:
    """10 x 10 x 4 cells."""
    for start, end, actor in itertools.product(R, R, A):
        allowed = may_move_refund(start, end, actor)
        assert allowed == ((start, end, actor) in REFUNDS), (start, end, actor)
    assert set(REFUND_ACTIONS) == set(R)


def test_every_status_says_what_a_customer_may_do() -> None:
    assert set(CUSTOMER_ACTIONS) == set(S)


def test_ends_are_ends() -> None:
    for end in (S.COMPLETED, S.CANCELLED):
        assert not any(may_move(end, other, actor) for other in S for actor in A)
