"""Proves on a live database that money and stock add up."""

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from tqdm import tqdm

from orders.services.audit import RULES, Failure, audit


class Command(BaseCommand):
    help = (
        "Check every rule of the books, read-only, each on one snapshot, while the shop runs. "
        "Exit status 1 and the offending rows when one does not hold."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the result as JSON")
        parser.add_argument("--list", action="store_true", help="print the rules, and check none")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["list"]:
            for rule in RULES:
                self.stdout.write(f"| `{rule.name}` | {rule.says} | {rule.remedy} |")
            return
        quiet = options["json"] or not sys.stderr.isatty()
        results = tqdm(audit(), total=len(RULES), unit=" rules", disable=quiet, leave=False)
        failures = [failure for _rule, failure in results if failure]
        if options["json"]:
            self.stdout.write(json.dumps(self.as_json(failures), ensure_ascii=False, default=str))
        else:
            self.print(failures)
        if failures:
            sys.exit(1)

    def as_json(self, failures: list[Failure]) -> dict[str, Any]:
        return {
            "rules": len(RULES),
            "failures": [
                {
                    "rule": failure.rule.name,
                    "says": failure.rule.says,
                    "remedy": failure.rule.remedy,
                    "rows": [dict(zip(failure.columns, row, strict=True)) for row in failure.rows],
                }
                for failure in failures
            ],
        }

    def print(self, failures: list[Failure]) -> None:
        for failure in failures:
            self.stdout.write(f"{failure.rule.name} does not hold: {failure.rule.says}")
            for row in failure.rows:
                self.stdout.write("    " + ", ".join(str(value) for value in row))
            self.stdout.write(f"  {failure.rule.remedy}")
        held = len(RULES) - len(failures)
        self.stdout.write(f"{held} of {len(RULES)} rules hold.")
