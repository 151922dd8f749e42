"""The command `audit`: clean on a shop that lived, and it says what is wrong and what to do."""

import json
from datetime import datetime, time, timedelta
from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from catalog.models import Sku
from orders.models import DailyTotal, LedgerEntry
from orders.services.audit import RULES, audit
from tests.factories import make_order
from tests.orders.conftest import Deal, place
from tests.orders.services.test_payment import settle_refunds

pytestmark = pytest.mark.django_db(transaction=True)


def run() -> tuple[int, dict[str, Any]]:
    out = StringIO()
    try:
        call_command("audit", "--json", stdout=out)
    except SystemExit as end:
        return int(end.code or 0), json.loads(out.getvalue())
    return 0, json.loads(out.getvalue())


def test_a_day_at_the_platform_is_clean(deal: Deal) -> None:
    deal.pay()
    deal.check()
    late = place(deal.api, deal.sku, quantity=1, key="key-00000002")
    asked = deal.api.post(f"orders/{late}/pay/", {"channel": "wechat"}).json()
    deal.sandbox.fault("wechatpay.notice", "dropped")
    assert deal.sandbox.pay(asked["params"]).ok
    deal.api.post(f"orders/{late}/cancel/")
    call_command("run_jobs", "--once", stdout=StringIO())
    settle_refunds(deal)

    assert run() == (0, {"rules": len(RULES), "failures": []})
    balances: dict[str, int] = {}
    for account, fen in LedgerEntry.objects.values_list("account", "amount_fen"):
        balances[account] = balances.get(account, 0) + fen
    assert balances == {
        "platform:wechat": 3980, "goods": -3980, "receivable": 0, "customer_refunds": 0,
    }  # fmt: skip
    assert deal.sandbox.net_fen() == 3980


def test_an_empty_shop_is_clean(transactional_db: None) -> None:
    assert run()[0] == 0


@pytest.mark.parametrize(
    ("computed", "expected"),
    [
        (timedelta(seconds=1), set()),
        (timedelta(minutes=9, seconds=59), set()),
        (timedelta(minutes=10), {"daily-total"}),
    ],
)
def test_a_total_is_compared_once_the_last_sales_of_its_day_are_there(
    transactional_db: None, computed: timedelta, expected: set[str]
) -> None:
    """A sale of the last moment may be committed after midnight; the job computes such a day again."""
    today = timezone.localdate()
    midnight = timezone.make_aware(datetime.combine(today, time()))
    DailyTotal.objects.create(
        day=today - timedelta(days=1), sale_fen=100, hours=[0] * 24, computed_at=midnight + computed
    )
    assert {rule.name for rule, failure in audit() if failure} == expected


@pytest.mark.broken_books
def test_the_command_names_the_rule_its_rows_and_what_to_do(deal: Deal, capsys: Any) -> None:
    call_command("audit")
    assert capsys.readouterr().out == f"{len(RULES)} of {len(RULES)} rules hold.\n"
    with connection.cursor() as cursor:
        cursor.execute("UPDATE catalog_sku SET stock = stock + 1")
    with pytest.raises(SystemExit):
        call_command("audit")
    shown = capsys.readouterr().out
    assert "stock-sum does not hold: A SKU's stock is the sum of its movements." in shown
    assert deal.sku.code in shown
    assert next(rule.remedy for rule in RULES if rule.name == "stock-sum") in shown


def test_it_blocks_nobody_and_sees_one_moment(deal: Deal) -> None:
    """A sale in the middle of an audit neither waits nor shows."""
    steps = audit()
    next(steps)
    make_order(deal.user, sku=deal.sku)
    assert [failure for _rule, failure in steps if failure] == []
    assert Sku.objects.get().stock == 7
    assert run()[0] == 0


def test_the_page_of_the_rules_is_up_to_date(capsys: Any) -> None:
    call_command("audit", "--list")
    listed = capsys.readouterr().out.splitlines()
    page = (settings.BASE_DIR / "docs" / "audit.md").read_text().splitlines()
    assert [line for line in page if line.startswith("| `")] == listed
