"""What the database's planner believes of its tables."""

from django.apps import apps
from django.db import connection

# Below this no plan is worth a thought.
MANY = 1000
ANALYZE = {"mysql": "ANALYZE TABLE", "postgresql": "ANALYZE", "sqlite": "ANALYZE"}


def refresh_statistics(*labels: str) -> None:
    """Count the tables of these apps again, after many rows came at once.

    The databases do so by themselves, but some minutes later: until then MariaDB reads and sorts a
    whole table for one page of it. Not inside a transaction, which MySQL would commit.
    """
    with connection.cursor() as cursor:
        for label in labels:
            for model in apps.get_app_config(label).get_models():
                table = connection.ops.quote_name(model._meta.db_table)
                cursor.execute(f"{ANALYZE[connection.vendor]} {table}")
                if connection.vendor == "mysql":
                    cursor.fetchall()
