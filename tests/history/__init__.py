"""A shop that lived: orders that went every way, each through the services and a real platform.

The audit's tests, its bench and the bench of mutations look at it.
"""

from datetime import timedelta

import time_machine
from django.test import override_settings
from django.utils import timezone

from tests.history.corrections import correct
from tests.history.fates import ORDINARY, WAITING, WITH_PLATFORM
from tests.history.life import compare_bill, work
from tests.history.shop import FREIGHT_FEN, Shop, connect_settings
from tests.sandbox_process import SandboxProcess

__all__ = [
    "FREIGHT_FEN",
    "ORDINARY",
    "WAITING",
    "WITH_PLATFORM",
    "Shop",
    "compare_bill",
    "connect_settings",
    "live",
]

YESTERDAY = timedelta(hours=25)


def live(sandbox: SandboxProcess) -> Shop:
    """Return a shop in which every order went another way, twice each, some of them yesterday."""
    shop = Shop(sandbox).open()
    # The platform knows nothing of yesterday, so it is not told of its parcels.
    untold = override_settings(WECHAT_UPLOAD_SHIPPING=False)
    with time_machine.travel(timezone.now() - YESTERDAY), untold:
        shop.is_real = False
        for fate in ORDINARY * 2:
            fate(shop)
        shop.is_real = True
    for fate in (*ORDINARY, *WITH_PLATFORM) * 2:
        fate(shop)
    work(shop)
    shop.give_back_elsewhere(shop.paid_now(), 1000)
    compare_bill(shop)
    correct(shop)
    for fate in WAITING * 2:
        fate(shop)
    return shop
