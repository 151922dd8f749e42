"""Fills the shop with products to look at."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from tqdm import tqdm

from catalog.seed import FAMILIES, seed_products


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
        self.stdout.write(f"{total} products are there.")
