"""The planner's counts after a bulk load, on every database."""

import pytest
from django.db import connection

from catalog.seed import seed_products
from miniback.core.statistics import refresh_statistics

KNOWN = {
    "mysql": "SELECT n_rows FROM mysql.innodb_table_stats "
    "WHERE database_name = DATABASE() AND table_name = 'catalog_product'",
    "postgresql": "SELECT reltuples FROM pg_class WHERE relname = 'catalog_product'",
    "sqlite": "SELECT stat FROM sqlite_stat1 WHERE tbl = 'catalog_product' LIMIT 1",
}


@pytest.mark.django_db(transaction=True)
def test_the_planner_knows_how_many_products_there_are() -> None:
    list(seed_products())
    refresh_statistics("catalog")
    with connection.cursor() as cursor:
        cursor.execute(KNOWN[connection.vendor])
        assert float(str(cursor.fetchone()[0]).split()[0]) == 48
        if connection.vendor == "sqlite":
            # What the other tests of this worker plan by stays as it was.
            cursor.execute("DELETE FROM sqlite_stat1")
