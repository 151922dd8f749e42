"""Makes the search index again."""

import sys
from typing import Any

from django.core.management.base import BaseCommand
from tqdm import tqdm

from catalog.models import Product
from catalog.services.products import reindex
from miniback.core.statistics import MANY, refresh_statistics


class Command(BaseCommand):
    help = "Index every product again: after an upgrade, or for another SEARCH_ENGINE."

    def handle(self, *args: Any, **options: Any) -> None:
        total = Product.objects.count()
        with tqdm(total=total, unit=" products", disable=not sys.stderr.isatty()) as bar:
            for done in reindex({}):
                bar.update(done)
        if total >= MANY:
            refresh_statistics("catalog")
        self.stdout.write(f"{total} products are indexed.")
