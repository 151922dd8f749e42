"""The shop while its merchant is switched from certificates to the public key (PLATFORMS B2)."""

from typing import Any

import pytest

from miniback.core import providers
from miniback.core.models import PlatformCertificate
from orders.models import Notice
from orders.status import OrderStatus
from tests.orders.conftest import Deal
from tests.sandbox_process import SandboxProcess, until

pytestmark = pytest.mark.django_db(transaction=True)


def test_notices_of_both_kinds(deal: Deal, settings: Any) -> None:
    """The grey period: with the public key set, a notice by certificate counts as well."""
    settings.WECHATPAY_CERTIFICATES = True
    providers.refresh_certificates()
    assert PlatformCertificate.objects.count() == 1
    deal.sandbox.fault("wechatpay.notice", "by_certificate")
    deal.pay()
    until(lambda: deal.order.status == OrderStatus.PAID)
    assert Notice.objects.get().headers["Wechatpay-Serial"] == PlatformCertificate.objects.get().pk


@pytest.mark.parametrize("fault", ["by_certificate", "foreign_certificate", "old_api_v3_key"])
def test_notices_that_cannot_be_read_come_again(deal: Deal, fault: str) -> None:
    """P11: an unknown serial asks nobody; the platform repeats, and the next one is good."""
    deal.sandbox.fault("wechatpay.notice", fault)
    deal.pay()
    until(lambda: deal.order.status == OrderStatus.PAID)
    assert deal.sandbox.notifications()[0]["answers"][0] in {400, 401}
    assert not PlatformCertificate.objects.exists()
    assert Notice.objects.count() == 1


def test_shops_without_certificates_fetch_none(sandbox: SandboxProcess) -> None:
    providers.refresh_certificates()
    assert not PlatformCertificate.objects.exists()
