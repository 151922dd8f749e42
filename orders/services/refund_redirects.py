"""Money that WeChat Pay could not give back, sent another way: to a card, or to the shop's own account."""

import logging
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from miniback.core.crypto import keyed_hash
from miniback.core.errors import Conflict, PlatformUnavailable
from miniback.core.transactions import assert_no_transaction, atomic
from miniback.platforms.contract import PlatformRefundStatus
from miniback.platforms.errors import Misconfigured, PlatformError
from miniback.platforms.errors import Refused as PlatformRefused
from miniback.platforms.wechatpay import BankCard, WeChatPayClient
from orders.models import Refund
from orders.services.channels import provider_of
from orders.services.refund_approvals import (
    Proposal,
    approve_step,
    confirm_step,
    drop_proposal,
    is_large,
)
from orders.services.refund_life import lock_refund, payment_of, platform_number
from orders.services.refunds import read_refund, record_refund
from orders.status import RefundStatus, RefundStep

logger = logging.getLogger(__name__)


class NotAbnormal(Conflict):
    code = "refund_not_abnormal"
    detail = _("Only what WeChat Pay could not give back (ABNORMAL) is sent another way.")


class RedirectRefused(Conflict):
    code = "refund_redirect_refused"
    detail = _("WeChat Pay refused.")


def redirect_refund(
    refund: Refund, *, user: Any, bank_type: str = "", account: str = "", holder: str = ""
) -> Refund:
    """Send money that WeChat Pay could not give back (ABNORMAL: the card is gone) another way.

    To a card of the customer, of which only the last digits are kept; without one to the shop's own
    account, from where the customer is paid with `pay_out_refund`. Of a large refund a second member
    of staff types the same. Calls the platform. Raises NotAbnormal, RedirectRefused, SecondApproval,
    PlatformUnavailable.
    """
    assert_no_transaction()
    fresh = read_refund(refund)
    platform = provider_of(payment_of(fresh))
    is_abnormal = fresh.platform_status == PlatformRefundStatus.ABNORMAL
    if fresh.status != RefundStatus.FAILED or not is_abnormal:
        raise NotAbnormal
    if not isinstance(platform, WeChatPayClient):
        raise NotAbnormal
    card = BankCard(bank_type, account, holder) if account else None
    if not _approve_redirect(fresh, card, user):
        return fresh
    was_to_shop = _aim(fresh, to_shop=card is None)
    try:
        answer = platform.redirect_refund(fresh.platform_id, platform_number(fresh), card=card)
    except (PlatformRefused, Misconfigured) as error:
        # A card that its bank does not know is a wrong parameter.
        _aim(fresh, to_shop=was_to_shop)
        drop_proposal(fresh)
        raise RedirectRefused(_("WeChat Pay refused: %(why)s") % {"why": error}) from error
    except PlatformError as error:
        logger.warning("refund %s: %s", fresh.number, error)
        raise PlatformUnavailable(retry_after=5) from error
    logger.info("refund %s is sent another way by %s", fresh.number, user)
    confirm_step(fresh, user=user)
    record_refund(answer)
    return read_refund(fresh)


@atomic
def _approve_redirect(refund: Refund, card: BankCard | None, user: Any) -> bool:
    refund = lock_refund(refund)
    proposal = Proposal(RefundStep.REDIRECT)
    if card:
        digest = keyed_hash("|".join(card), purpose="refund card")
        proposal = proposal._replace(card_hash=digest, card_tail=card.account[-4:])
    by_two = is_large(refund, user, now=timezone.now())
    return approve_step(refund, proposal, user=user, by_two=by_two)


def _aim(refund: Refund, *, to_shop: bool) -> bool:
    """Write, before it is sent, whether the shop will owe it; return what was written before."""
    was_to_shop = refund.is_to_shop
    Refund.objects.filter(pk=refund.pk).update(is_to_shop=to_shop)
    return was_to_shop
