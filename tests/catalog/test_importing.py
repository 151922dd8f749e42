"""Catalogues from tables."""

import csv
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Sum
from openpyxl import Workbook

from catalog.models import Category, Product, ProductOption, Sku, StockMovement
from catalog.services.importing import import_products
from catalog.services.stock import take_stock
from catalog.services.tables import read_table
from tests.core.test_uploads import picture

pytestmark = pytest.mark.django_db

HEADER = [
    "product",
    "name",
    "category",
    "brand",
    "sku",
    "options",
    "price",
    "stock",
    "status",
    "tags",
]
TEA = [
    "P1",
    "龙井绿茶",
    "茶叶/绿茶",
    "山见",
    "T-1",
    "规格=50克",
    "19.90",
    "10",
    "on_sale",
    "新品,热卖",
]
TEA_2 = ["P1", "", "", "", "T-2", "规格=100克", "35", "0", "", ""]
CUP = ["P2", "茶杯", "茶具", "", "C-1", "", "9", "5", "", ""]


def write(
    path: Path, *rows: list[str], header: list[str] = HEADER, encoding: str = "utf-8"
) -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def run(path: Path, **options: Any) -> dict[str, int]:
    kinds: dict[str, int] = {}
    for outcome in import_products(read_table(path), **options):
        kinds[outcome.kind] = kinds.get(outcome.kind, 0) + 1
    return kinds


def test_a_file_becomes_products(tmp_path: Path) -> None:
    assert run(write(tmp_path / "a.csv", TEA, TEA_2, CUP)) == {"made": 2}
    product = Product.objects.get(name="龙井绿茶")
    assert (product.price_fen, product.in_stock, product.tags) == (1990, True, ["新品", "热卖"])
    assert (product.category.name, product.category.parent.name) == ("绿茶", "茶叶")
    assert ProductOption.objects.get(product=product).values == ["50克", "100克"]
    assert Sku.objects.get(code="T-1").stock == 10
    for sku in Sku.objects.annotate(booked=Sum("movements__delta")):
        assert (sku.booked or 0) == sku.stock
    assert Product.objects.get(name="茶杯").status == "draft"


def test_again_it_changes_nothing(tmp_path: Path) -> None:
    """Resuming is running again: what is there is passed over."""
    path = write(tmp_path / "a.csv", TEA, TEA_2)
    run(path)
    take_stock({Sku.objects.get(code="T-1").pk: 3}, reference="O1")
    write(path, TEA, TEA_2, CUP)
    assert run(path) == {"there": 1, "made": 1}
    assert Sku.objects.get(code="T-1").stock == 7
    assert StockMovement.objects.count() == 3
    assert Category.objects.count() == 3


def test_updating_leaves_stock_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", TEA, TEA_2)
    run(path)
    dearer = [*TEA]
    dearer[1], dearer[6], dearer[7] = "西湖龙井", "29.90", "99"
    assert run(write(path, dearer, TEA_2), update=True) == {"updated": 1}
    product = Product.objects.get()
    assert (product.name, product.price_fen) == ("西湖龙井", 2990)
    assert Sku.objects.get(code="T-1").stock == 10


def test_a_product_with_one_sku_more_gets_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", TEA)
    run(path)
    assert run(write(path, TEA, TEA_2)) == {"updated": 1}
    assert Sku.objects.count() == 2


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("product", ""), ("name", ""), ("name", "x" * 101), ("category", ""), ("category", "/"), ("sku", ""),
        ("sku", "x" * 51), ("price", ""), ("price", "abc"), ("price", "1.999"), ("price", "-1"),
        ("price", "1e3"), ("stock", "-1"), ("stock", "1.5"), ("stock", "１"), ("stock", "9" * 20),
        ("options", "红色"), ("options", "="), ("options", "x" * 21 + "=1"), ("category", "茶" * 51),
        ("brand", "x" * 51), ("stock", "9" * 5000), ("status", "maybe"),
        ("tags", ",".join("abcdefghijklmnopqrstuv")),
    ],
)  # fmt: skip
def test_a_bad_row_keeps_its_product_out(tmp_path: Path, column: str, value: str) -> None:
    """And no other."""
    bad = [*TEA]
    bad[HEADER.index(column)] = value
    outcomes = list(import_products(read_table(write(tmp_path / "a.csv", bad, CUP))))
    assert [outcome.kind for outcome in outcomes] == ["refused", "made"]
    assert all(problem.line == 2 and problem.message for problem in outcomes[0].problems)
    assert Product.objects.get().name == "茶杯"


def test_a_code_stands_once(tmp_path: Path) -> None:
    run(write(tmp_path / "a.csv", CUP))
    mixed = [*TEA_2]
    mixed[4] = "C-1"
    assert run(write(tmp_path / "b.csv", TEA, TEA)) == {"refused": 1}
    assert run(write(tmp_path / "c.csv", TEA)) == {"made": 1}
    assert run(write(tmp_path / "d.csv", TEA, mixed)) == {"refused": 1}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_chinese_headers_and_encodings(tmp_path: Path, encoding: str) -> None:
    header = ["商品编号", "商品名称", "分类", "SKU编码", "价格", "库存"]
    path = write(
        tmp_path / "a.csv",
        ["1", "龙井", "茶叶", "T-1", "9.9", "3"],
        header=header,
        encoding=encoding,
    )
    assert run(path) == {"made": 1}


def test_xlsx(tmp_path: Path) -> None:
    book = Workbook()
    book.active.append(HEADER)
    book.active.append(["P1", "龙井", "茶叶", "", "T-1", "", 19.9, 3, "", ""])
    book.save(tmp_path / "a.xlsx")
    assert run(tmp_path / "a.xlsx") == {"made": 1}
    assert Sku.objects.get().price_fen == 1990


@pytest.mark.parametrize("name", ["a.xlsx", "a.csv"])
def test_what_is_no_table_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04 nonsense \xff\xff\xff")
    with pytest.raises(CommandError):
        call_command("import_products", str(tmp_path / name))


def test_the_command_reports_bad_rows(tmp_path: Path, capsys: Any) -> None:
    """B13: a value from the file is no formula in the report."""
    bad = [*TEA]
    bad[6] = "=HYPERLINK(1)"
    path = write(tmp_path / "a.csv", bad, CUP)
    with pytest.raises(CommandError, match="a.csv.errors.csv"):
        call_command("import_products", str(path))
    assert "1 made, 0 updated, 0 there, 1 refused" in capsys.readouterr().out
    with (tmp_path / "a.csv.errors.csv").open(encoding="utf-8-sig") as file:
        [_header, row] = csv.reader(file)
    assert row[:3] == ["2", "price", "'=HYPERLINK(1)"]
    call_command("import_products", str(write(path, TEA, CUP)))
    assert not (tmp_path / "a.csv.errors.csv").exists()
    with pytest.raises(CommandError):
        call_command("import_products", str(tmp_path / "missing.csv"))


def test_pictures_come_from_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(picture())
    (tmp_path / "secret.jpg").write_bytes(picture())
    header = [*HEADER, "pictures"]
    path = write(tmp_path / "a.csv", [*CUP, "a.jpg"], header=header)
    assert run(path) == {"refused": 1}
    assert run(path, pictures=folder) == {"made": 1}
    product = Product.objects.get()
    assert product.cover.name.startswith("pictures/")
    assert product.pictures.get().picture.name == product.cover.name
    (folder / "text.jpg").write_text("<script>")
    for wrong in ("../secret.jpg", "/etc/passwd", "b.jpg", "text.jpg"):
        assert run(write(path, [*TEA, wrong], header=header), pictures=folder) == {"refused": 1}
