"""What every platform can do for the shop: log a customer in, take money, give it back.

A new platform is one module with a client that has these methods (docs/platforms.md); the contract
tests run against it as they do against the others.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone
from enum import StrEnum
from typing import NamedTuple, Protocol

# Whatever the server's clock is set to: the platforms' days and local times.
BEIJING = timezone(timedelta(hours=8))


class Login(NamedTuple):
    """Who a login code stands for.

    ``unionid`` joins the apps of one owner, where there is one. ``session_key`` opens what the
    platform encrypts for us by way of the client, and never leaves the server.
    """

    openid: str
    unionid: str = ""
    session_key: str = ""


class TradeState(StrEnum):
    WAITING = "waiting"
    PAID = "paid"
    CLOSED = "closed"


class Trade(NamedTuple):
    """A payment as the platform tells it. Only PAID means that money came in."""

    number: str  # ours
    state: TradeState
    platform_state: str  # in the platform's own word
    transaction_id: str
    amount_fen: int
    currency: str
    app_id: str
    merchant_id: str
    paid_at: datetime | None
    # Some of the money, or all of it, went back or is going back: ask for the refunds.
    refund_started: bool = False

    @property
    def is_paid(self) -> bool:
        return self.state == TradeState.PAID and bool(self.transaction_id)


class PlatformRefundStatus(StrEnum):
    """SUCCESS: the customer has the money. CLOSED: it ended, apply again under a new number.

    ABNORMAL: it cannot go back the way it came, and has to be sent another way.
    """

    SUCCESS = "SUCCESS"
    PROCESSING = "PROCESSING"
    CLOSED = "CLOSED"
    ABNORMAL = "ABNORMAL"


class PlatformRefund(NamedTuple):
    """A refund as the platform tells it. Amount and currency are the platform's, not checked."""

    number: str  # ours
    payment_number: str  # ours
    platform_id: str
    status: str  # a PlatformRefundStatus
    amount_fen: int
    currency: str
    # Whether the merchant's own account got it; None where the platform does not say.
    is_to_shop: bool | None = None


class RefundedSum(NamedTuple):
    """What Alipay tells after a refund: the sum of all refunds of a payment so far."""

    payment_number: str  # ours
    refund_number: str  # of the newest refund; "" or unknown to us if it was made elsewhere
    refunded_fen: int
    app_id: str


class Notice(NamedTuple):
    """A verified and decrypted notice: of a trade, of a refund, or of what was refunded in all."""

    id: str
    event_type: str
    trade: Trade | None
    refund: PlatformRefund | None
    merchant_id: str
    refunded: RefundedSum | None = None


class BillRow(NamedTuple):
    """One line of a day's bill: money in, or money back. Two rows may have one number.

    ``refund_number`` is "" for a payment, and for a refund that the platform names no number of.
    ``app_id`` may be another app of the same merchant; "" if the bill does not say.
    """

    payment_number: str  # ours
    transaction_id: str
    refund_number: str  # ours
    amount_fen: int  # never negative
    at: datetime
    is_refund: bool
    app_id: str = ""
    platform_refund_id: str = ""
    line: int = 0  # of the file, from 1


class LoginProvider(Protocol):
    app_id: str

    def log_in(self, code: str) -> Login:
        """Exchange a login code, which works once.

        Raises LoginAgain, CustomerBlocked, TryAgain, Misconfigured.
        """


class PaymentProvider(Protocol):
    """Every method but ``client_params`` and ``parse_notice`` calls the platform.

    They raise TryAgain when nobody knows what happened, Misconfigured, and what they say.
    """

    app_id: str
    merchant_id: str

    def create(
        self,
        *,
        number: str,
        amount_fen: int,
        description: str,
        payer: str,
        notify_url: str,
        expires_at: datetime,
    ) -> str:
        """Place an order that ``payer`` (an openid) may pay; return the handle that paying it needs.

        May be repeated with the same parameters. Raises Refused if it is paid or closed.
        """

    def client_params(self, handle: str) -> dict[str, str]:
        """What the client needs to open the payment sheet."""

    def query(self, number: str) -> Trade:
        """Raises NoSuchTrade."""

    def close(self, number: str) -> None:
        """Make it unpayable; may be repeated. Raises NoSuchTrade, or Refused if it is paid."""

    def refund(
        self,
        *,
        number: str,
        payment_number: str,
        amount_fen: int,
        total_fen: int,
        reason: str,
        notify_url: str,
    ) -> PlatformRefund:
        """Give money back. Repeat with the same number, never with a new one. Raises Refused."""

    def query_refund(self, number: str, payment_number: str) -> PlatformRefund:
        """Raises NoSuchTrade when the platform knows no such refund."""

    def parse_notice(self, headers: Mapping[str, str], body: bytes) -> Notice:
        """Verify a notice. Raises NoticeRejected and calls nobody: anyone can post here."""

    def bill(self, day: date) -> list[BillRow]:
        """What moved on a day of Shanghai that is over; [] if the bill itself says: nothing.

        Raises BillNotReady; NoBill, which is not the same as an empty one; BadBill.
        """
