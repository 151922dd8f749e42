"""Which wrong values the audit notices: each column of each table that services write is spoiled.

    make bench-audit-mutations

A shop in which orders, payments, refunds, bills and corrections went every way is made through the
services. Then one column of one row at a time gets another value, NULL, or the value of another row;
the rules that look at the table are tried, and everything is undone. What constraints of the database
refuse counts as noticed; what may differ is excused in tests/audited_columns.py, with the reason.
"""

import argparse
import logging
import sys
from collections.abc import Iterator

from bench.stage import say, stage  # first: it sets Django up

from django.test.utils import override_settings  # isort: skip

from tests.audited_columns import COLUMNS, EXCUSED, WEIGHTY
from tests.history import connect_settings, live
from tests.mutations import Outcome, audited_models, spoil_table

# Of the columns with money, stock, state, ownership or due times.
LEAST = 0.9


def spoil_all(kinds: tuple[str, ...]) -> Iterator[tuple[str, Outcome]]:
    for model in audited_models():
        for kind, columns in COLUMNS.get(model._meta.db_table, {}).items():
            if kind in kinds:
                for outcome in spoil_table(model, set(columns.split())):
                    yield kind, outcome


def show(kind: str, outcome: Outcome) -> None:
    rules = ", ".join(sorted(outcome.noticed, key=lambda rule: -outcome.noticed[rule])[:3])
    name = f"{outcome.table}.{outcome.column}"
    count = f"{sum(outcome.noticed.values())}/{outcome.tries}"
    missed = f"  missed: {', '.join(sorted(outcome.ways_missed))}" if outcome.ways_missed else ""
    say(f"{kind:6} {name:44} {count:>8}  {rules}{missed}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="texts and settings, too")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    with stage() as (sandbox, _folder), override_settings(**connect_settings(sandbox)):
        live(sandbox)
        kinds = (*WEIGHTY, "other") if options.all else WEIGHTY
        outcomes = []
        for kind, outcome in spoil_all(kinds):
            show(kind, outcome)
            if kind in WEIGHTY and outcome.tries:
                outcomes.append(outcome)
    return report(outcomes)


def report(outcomes: list[Outcome]) -> int:
    """Print what was not noticed in every way, with its reason; return the exit status."""
    whole = [one for one in outcomes if one.is_noticed]
    partly = [one for one in outcomes if one.noticed and not one.is_noticed]
    never = [one for one in outcomes if not one.noticed]
    say()
    unexcused = 0
    for label, columns in (("in part", partly), ("never", never)):
        for one in columns:
            reason = EXCUSED.get((one.table, one.column), "MISSED")
            unexcused += reason == "MISSED"
            say(
                f"{label:8} {one.table}.{one.column} ({', '.join(sorted(one.ways_missed))}): {reason}"
            )
    tries = sum(one.tries for one in outcomes)
    found = sum(sum(one.noticed.values()) for one in outcomes)
    share = (len(whole) + len(partly)) / len(outcomes)
    say(
        f"{len(outcomes)} columns with money, stock, state, ownership or due times: "
        f"{len(whole)} noticed in every way, {len(partly)} in part ({share:.0%} together), "
        f"{len(never)} never, {unexcused} without a reason; {found} of {tries} wrong values noticed"
    )
    return 1 if share < LEAST or unexcused else 0


if __name__ == "__main__":
    sys.exit(main())
