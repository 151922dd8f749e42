"""Checks that read the tables: `manage.py check --database default`, and `migrate`."""

from typing import Any

from django.core.checks import Error, Tags, register
from django.db import DatabaseError

from orders.services.left_accounts import examine_accounts


@register(Tags.database)
def check_left_accounts(databases: Any = None, **kwargs: Any) -> list[Error]:
    """Refuse settings under which money of a former account could not be asked about or given back."""
    if not databases:
        return []
    try:
        return [
            Error(f"{finding.setting} {finding.problem}.", hint=finding.remedy, id="orders.E001")
            for finding in examine_accounts()
        ]
    except DatabaseError:
        # The tables are not there yet, or not as they will be.
        return []
