"""Tables that people make and open in a spreadsheet."""

import csv
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _
from openpyxl import Workbook, load_workbook  # type: ignore[import-untyped]
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE  # type: ignore[import-untyped]

# Sheets end there.
MOST_XLSX_ROWS = 1_048_576
_YUAN = re.compile(r"-?[0-9]{1,12}\.[0-9]{2}")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class UnreadableFile(Exception):
    """The file is no table of ours; its text says why."""


def harmless(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


Writer = Callable[[list[Any]], None]


@contextmanager
def write_table(path: Path) -> Iterator[Writer]:
    """Yield what writes a row of cells to a new CSV (UTF-8) or, by its name, XLSX file. No cell is a formula.

    Raises UnreadableFile where a sheet is too short for the rows.
    """
    with _write_xlsx(path) if path.suffix == ".xlsx" else _write_csv(path) as write:
        yield write


@contextmanager
def _write_csv(path: Path) -> Iterator[Writer]:
    # Excel takes a file without the mark for another encoding.
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        yield lambda row: writer.writerow([harmless(str(cell)) for cell in row])


@contextmanager
def _write_xlsx(path: Path) -> Iterator[Writer]:
    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    count = 0

    def write(row: list[Any]) -> None:
        nonlocal count
        count += 1
        if count > MOST_XLSX_ROWS:
            raise UnreadableFile(_("A sheet ends at 1,048,576 rows: choose CSV, or fewer days."))
        sheet.append([_xlsx_cell(cell) for cell in row])

    yield write
    book.save(path)


def _xlsx_cell(cell: Any) -> Any:
    """Numbers and yuan can be added up; a phone or a card number stays text."""
    text = str(cell)
    if type(cell) in (int, float) or _YUAN.fullmatch(text):
        return float(text) if "." in text else int(text)
    return harmless(ILLEGAL_CHARACTERS_RE.sub("", text))


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
