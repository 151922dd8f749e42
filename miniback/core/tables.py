"""Tables that people make and open in a spreadsheet."""

import csv
from collections.abc import Iterator
from pathlib import Path

from django.utils.translation import gettext as _
from openpyxl import load_workbook  # type: ignore[import-untyped]

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class UnreadableFile(Exception):
    """The file is no table of ours; its text says why."""


def harmless(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def read_lines(path: Path) -> Iterator[list[str]]:
    """Yield the cells of each line of a CSV (UTF-8 or GB18030) or XLSX file. Raises UnreadableFile."""
    return _xlsx_lines(path) if path.suffix.lower() == ".xlsx" else _csv_lines(path)


def _csv_lines(path: Path) -> Iterator[list[str]]:
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            with path.open(encoding=encoding, newline="") as file:
                for _line in file:
                    pass
        except UnicodeDecodeError:
            continue
        with path.open(encoding=encoding, newline="") as file:
            try:
                yield from csv.reader(file)
            except csv.Error as error:
                raise UnreadableFile(str(error)) from error
        return
    raise UnreadableFile(_("Save the file as UTF-8."))


def _xlsx_lines(path: Path) -> Iterator[list[str]]:
    try:
        book = load_workbook(path, read_only=True, data_only=True)
        for cells in book.worksheets[0].iter_rows(values_only=True):
            yield ["" if cell is None else str(cell) for cell in cells]
    except Exception as error:
        # openpyxl lets whatever zip and XML readers raise through, also in the middle of a sheet.
        raise UnreadableFile(_("This is not an XLSX file.")) from error
