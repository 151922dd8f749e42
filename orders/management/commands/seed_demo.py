"""Fills the shop with products to look at."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from tqdm import tqdm

from catalog.seed import FAMILIES, seed_products
from catalog.seed_window import seed_window
from miniback.core.statistics import MANY, refresh_statistics
from orders.models import Coupon, CouponKind, CouponSource, MessageKind, MessageTemplate

COUPONS: dict[str, dict[str, Any]] = {
    "新人立减 10 元": {
        "source": CouponSource.FIRST_LOGIN,
        "amount_fen": 1000,
        "threshold_fen": 3000,
    },
    "满 100 减 15": {"amount_fen": 1500, "threshold_fen": 10000, "quota": 1000},
    "全场 95 折": {"kind": CouponKind.PERCENT, "percent_off": 5, "max_discount_fen": 2000},
}

# As they might stand in WeChat's console. The sandbox takes any id of this form.
TEMPLATES: dict[MessageKind, dict[str, str]] = {
    MessageKind.PAID: {
        "character_string1": "number", "thing2": "goods", "amount3": "amount", "date4": "time",
    },
    MessageKind.SHIPPED: {
        "thing1": "goods", "thing2": "carrier", "character_string3": "tracking_number",
    },
    MessageKind.REFUNDED: {"character_string1": "number", "amount2": "amount", "date3": "time"},
    MessageKind.CLOSING_SOON: {"thing1": "goods", "amount2": "amount", "date3": "time"},
}  # fmt: skip


class Command(BaseCommand):
    help = (
        "Make the demo shop (48 products), or a large one. Repeating it adds only what is missing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--products", type=int, metavar="N", help="how many products in all")

    def handle(self, *args: Any, **options: Any) -> None:
        total = options["products"] or sum(len(family.articles) for family in FAMILIES)
        quiet = not sys.stderr.isatty()
        with tqdm(total=total, unit=" products", disable=quiet) as bar:
            for done in seed_products(options["products"]):
                bar.update(done - bar.n)
        # A large shop is for measuring, a small one for looking at.
        if options["products"] is None:
            self.add_coupons()
            self.add_templates()
            seed_window()
        if total >= MANY:
            refresh_statistics("catalog")
        self.stdout.write(f"{total} products are there.")

    def add_coupons(self) -> None:
        for name, terms in COUPONS.items():
            Coupon.objects.get_or_create(name=name, defaults={**terms, "valid_days": 30})

    def add_templates(self) -> None:
        for kind, fields in TEMPLATES.items():
            MessageTemplate.objects.get_or_create(
                kind=kind, defaults={"template_id": f"demo-template-{kind}", "fields": fields}
            )
