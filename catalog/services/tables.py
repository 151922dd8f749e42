"""A catalogue's rows, by the names of its columns."""

from collections.abc import Iterator
from pathlib import Path

from django.utils.translation import gettext as _

from miniback.core.tables import UnreadableFile, read_lines

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


def read_table(path: Path) -> Iterator[tuple[int, Row]]:
    """Yield (line, row) of a CSV (UTF-8 or GB18030) or XLSX file. Raises UnreadableFile."""
    lines = read_lines(path)
    known = {**{name: name for name in COLUMNS}, **{cn: name for name, cn in COLUMNS.items()}}
    header = [known.get(cell.strip(), "") for cell in next(lines, [])]
    if missing := [name for name in NEEDED if name not in header]:
        raise UnreadableFile(_("Columns are missing: %(names)s.") % {"names": ", ".join(missing)})
    for line, cells in enumerate(lines, start=2):
        row = {name: cell.strip() for name, cell in zip(header, cells, strict=False) if name}
        if any(row.values()):
            yield line, {name: row.get(name, "") for name in COLUMNS}
