"""Imports a catalogue from a CSV or XLSX file."""

import csv
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from catalog.services.importing import import_products
from catalog.services.tables import read_table
from miniback.core.statistics import MANY, refresh_statistics
from miniback.core.tables import UnreadableFile, harmless


class Command(BaseCommand):
    help = (
        "Import products. Repeating it goes on where it stopped; docs/import.md describes the file."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--update", action="store_true", help="change what is there already")
        parser.add_argument("--pictures", type=Path, help="the folder of the pictures")
        parser.add_argument("--report", type=Path, help="where bad rows go (FILE.errors.csv)")

    def handle(self, *args: Any, **options: Any) -> None:
        file: Path = options["file"]
        if not file.is_file():
            raise CommandError(f"{file} is not there.")
        report: Path = options["report"] or file.with_suffix(file.suffix + ".errors.csv")
        counts: Counter[str] = Counter()
        try:
            with report.open("w", encoding="utf-8-sig", newline="") as target:
                writer = csv.writer(target)
                writer.writerow(["line", "column", "value", "problem"])
                outcomes = import_products(
                    read_table(file), update=options["update"], pictures=options["pictures"]
                )
                with tqdm(unit=" rows", disable=not sys.stderr.isatty()) as bar:
                    for outcome in outcomes:
                        counts[outcome.kind] += 1
                        bar.update(outcome.rows)
                        writer.writerows(
                            [line, column, harmless(value), message]
                            for line, column, value, message in outcome.problems
                        )
        except UnreadableFile as error:
            raise CommandError(str(error)) from error
        if counts["made"] >= MANY:
            refresh_statistics("catalog")
        said = ("made", "updated", "there", "refused")
        self.stdout.write(", ".join(f"{counts[kind]} {kind}" for kind in said))
        if counts["refused"]:
            raise CommandError(f"What was refused, and why, is in {report}.")
        report.unlink()
