"""Rows of a spreadsheet or CSV file, by the names of its columns."""

import csv
from collections.abc import Iterator
from pathlib import Path

from django.utils.translation import gettext as _
from openpyxl import load_workbook  # type: ignore[import-untyped]

# A column's name in a file's first row, in either language.
COLUMNS = {
    "product": "商品编号",
    "name": "商品名称",
    "subtitle": "副标题",
    "category": "分类",
    "brand": "品牌",
    "description": "描述",
    "tags": "标签",
    "attributes": "属性",
    "status": "状态",
    "pictures": "图片",
    "sku": "SKU编码",
    "options": "规格",
    "price": "价格",
    "market_price": "划线价",
    "stock": "库存",
    "weight_g": "重量",
}
NEEDED = ("product", "name", "category", "sku", "price")
Row = dict[str, str]


class UnreadableFile(Exception):
    """The file is no table of ours; its text says why."""


def read_table(path: Path) -> Iterator[tuple[int, Row]]:
    """Yield (line, row) of a CSV (UTF-8 or GB18030) or XLSX file. Raises UnreadableFile."""
    lines = _xlsx_lines(path) if path.suffix.lower() == ".xlsx" else _csv_lines(path)
    known = {**{name: name for name in COLUMNS}, **{cn: name for name, cn in COLUMNS.items()}}
    header = [known.get(cell.strip(), "") for cell in next(lines, [])]
    if missing := [name for name in NEEDED if name not in header]:
        raise UnreadableFile(_("Columns are missing: %(names)s.") % {"names": ", ".join(missing)})
    for line, cells in enumerate(lines, start=2):
        row = {name: cell.strip() for name, cell in zip(header, cells, strict=False) if name}
        if any(row.values()):
            yield line, {name: row.get(name, "") for name in COLUMNS}


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
    except Exception as error:
        # openpyxl lets whatever zip and XML readers raise through.
        raise UnreadableFile(_("This is not an XLSX file.")) from error
    for cells in book.worksheets[0].iter_rows(values_only=True):
        yield ["" if cell is None else str(cell) for cell in cells]
