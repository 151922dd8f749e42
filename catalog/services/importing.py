"""A catalogue from a table: a row is a SKU, rows of one product follow one another.

Running it again is how it is resumed: SKUs are known by their code, and what is there is left alone
(or, on wish, brought up to date, stock excepted: orders move it). A product with a bad row is left
out whole, and every problem is told with its line.
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from django.core.exceptions import ValidationError
from django.core.files.base import File
from django.db import IntegrityError
from django.db.models import Model
from django.utils import timezone
from django.utils.translation import gettext as _

from catalog.models import (
    Brand,
    Category,
    Product,
    ProductOption,
    ProductPicture,
    ProductStatus,
    Sku,
    StockMovementKind,
)
from catalog.services.products import clean_html, refresh_product
from catalog.services.search import index_products
from catalog.services.stock import MAX_STOCK, adjust_stock
from catalog.services.tables import Row
from miniback.core.money import NotYuan, parse_yuan
from miniback.core.pictures import NotAPicture
from miniback.core.transactions import atomic, retry

M = TypeVar("M", bound=Model)

STATUSES = {
    "": ProductStatus.DRAFT, "draft": ProductStatus.DRAFT, "草稿": ProductStatus.DRAFT,
    "on_sale": ProductStatus.ON_SALE, "上架": ProductStatus.ON_SALE,
    "off_sale": ProductStatus.OFF_SALE, "下架": ProductStatus.OFF_SALE,
}  # fmt: skip


class Problem(NamedTuple):
    line: int
    column: str
    value: str
    message: str


class Outcome(NamedTuple):
    """What became of one product: "made", "updated", "there" or "refused" with its problems."""

    kind: str
    rows: int
    problems: list[Problem]


def import_products(
    table: Iterable[tuple[int, Row]], *, update: bool = False, pictures: Path | None = None
) -> Iterator[Outcome]:
    """Yield an outcome for each product; see the module. ``pictures`` is where their files lie."""
    for _product, group in itertools.groupby(table, key=lambda pair: pair[1]["product"]):
        rows = list(group)
        draft = _Draft(rows, pictures)
        if draft.problems:
            yield Outcome("refused", len(rows), draft.problems)
            continue
        try:
            # Repeated after a lost COMMIT it finds its SKUs by their codes.
            kind = retry(partial(draft.save, update=update), is_keyed=True)
        except (ValidationError, IntegrityError, NotAPicture) as error:
            line, row = rows[0]
            problem = Problem(line, "product", row["product"], "; ".join(_messages(error)))
            yield Outcome("refused", len(rows), [problem])
        else:
            yield Outcome(kind, len(rows), [])


def find_problems(table: Iterable[tuple[int, Row]]) -> Iterator[Problem]:
    """What an import would refuse by the rows alone; nothing changes."""
    for _product, group in itertools.groupby(table, key=lambda pair: pair[1]["product"]):
        yield from _Draft(list(group), None).problems


def _messages(error: ValidationError | IntegrityError | NotAPicture) -> list[str]:
    if isinstance(error, NotAPicture):
        return [str(error.detail)]
    return error.messages if isinstance(error, ValidationError) else [str(error)]


class _Draft:
    """The rows of one product, read and checked."""

    def __init__(self, rows: list[tuple[int, Row]], pictures: Path | None) -> None:
        self.problems: list[Problem] = []
        self.line, self.first = rows[0]
        self.skus = [self._sku(line, row) for line, row in rows]
        self.status = self._choice("status", STATUSES)
        self.tags = [word for word in _split(self.first["tags"], ",，") if word]
        self.attributes = self._pairs(self.line, self.first, "attributes")
        self.pictures = self._files(pictures)
        for column in ("product", "name", "category"):
            if not self.first[column]:
                self._refuse(self.line, self.first, column, _("This is needed."))
        codes = Counter(sku["code"] for sku in self.skus)
        for (line, row), sku in zip(rows, self.skus, strict=True):
            if codes[sku["code"]] > 1:
                self._refuse(line, row, "sku", _("This code stands twice."))

    def _refuse(self, line: int, row: Mapping[str, str], column: str, message: str) -> None:
        self.problems.append(Problem(line, column, row[column][:200], message))

    def _sku(self, line: int, row: Row) -> dict[str, Any]:
        if not row["sku"] or len(row["sku"]) > 50:
            self._refuse(line, row, "sku", _("Give a code of up to 50 characters."))
        return {
            "code": row["sku"],
            "options": self._pairs(line, row, "options"),
            "price_fen": self._fen(line, row, "price"),
            "market_price_fen": self._fen(line, row, "market_price")
            if row["market_price"]
            else None,
            "stock": self._number(line, row, "stock"),
            "weight_g": self._number(line, row, "weight_g"),
        }

    def _fen(self, line: int, row: Row, column: str) -> int:
        try:
            fen = parse_yuan(row[column])
        except NotYuan as error:
            self._refuse(line, row, column, str(error.detail))
            return 0
        if fen < 0:
            self._refuse(line, row, column, _("A price is not negative."))
        return fen

    def _number(self, line: int, row: Row, column: str) -> int:
        text = row[column].removesuffix(".0") or "0"
        # Python itself refuses to read thousands of digits.
        if not (text.isascii() and text.isdigit() and len(text) < 20) or int(text) > MAX_STOCK:
            self._refuse(line, row, column, _("Write a whole number."))
            return 0
        return int(text)

    def _pairs(self, line: int, row: Row, column: str) -> dict[str, str]:
        pairs = {}
        for part in _split(row[column], ";；"):
            name, equals, value = part.partition("=")
            if not (name.strip() and equals and value.strip()):
                self._refuse(line, row, column, _("Write name=value; name=value."))
                return {}
            pairs[name.strip()] = value.strip()
        return pairs

    def _choice(self, column: str, choices: Mapping[str, ProductStatus]) -> ProductStatus:
        if self.first[column] not in choices:
            self._refuse(self.line, self.first, column, _("Write draft, on_sale or off_sale."))
        return choices.get(self.first[column], ProductStatus.DRAFT)

    def _files(self, folder: Path | None) -> list[Path]:
        files = []
        for name in _split(self.first["pictures"], ";；"):
            file = (folder or Path()) / name
            if folder is None or not file.resolve().is_relative_to(folder.resolve()):
                self._refuse(self.line, self.first, "pictures", _("Say where pictures lie."))
            elif not file.is_file():
                self._refuse(self.line, self.first, "pictures", _("There is no such file."))
            files.append(file)
        return files

    @atomic
    def save(self, *, update: bool) -> str:
        """Make the product, or what of it is missing; say what was done."""
        codes = [sku["code"] for sku in self.skus]
        # SKUs before their product, as orders do (docs/locking.md).
        known = Sku.objects.select_for_update().filter(code__in=codes).order_by("pk")
        there = {sku.code: sku for sku in known}
        products = {sku.product_id for sku in there.values()}
        if len(products) > 1:
            raise ValidationError(_("These codes belong to several products."))
        if len(there) == len(codes) and not update:
            return "there"
        product = Product.objects.get(pk=products.pop()) if products else Product()
        is_new = product._state.adding
        if is_new or update:
            self._write_product(product)
        for columns in self.skus:
            if columns["code"] not in there or update:
                self._write_sku(there.get(columns["code"]) or Sku(product=product), dict(columns))
        if is_new:
            self._write_pictures(product)
        if not refresh_product(product.pk):
            index_products([product.pk])
        return "made" if is_new else "updated"

    def _write_product(self, product: Product) -> None:
        product.name, product.subtitle = self.first["name"], self.first["subtitle"]
        product.category = _category(self.first["category"])
        if name := self.first["brand"]:
            product.brand = Brand.objects.filter(name=name).first() or _made(Brand(name=name))
        product.detail_html = clean_html(self.first["description"])
        product.status, product.tags, product.attributes = self.status, self.tags, self.attributes
        product.published_at = product.published_at or timezone.now()
        product.full_clean(exclude=["cover"])
        if product._state.adding:
            product.save()
        else:
            # Not price, availability and sales: orders change them.
            columns = ["name", "subtitle", "category", "brand", "detail_html", "status", "tags"]
            product.save(update_fields=[*columns, "attributes", "updated_at"])
        values: dict[str, dict[str, None]] = {}
        for sku in self.skus:
            for name, value in sku["options"].items():
                values.setdefault(name, {})[value] = None
        there = {option.name: option for option in product.options.all()}
        for position, (name, words) in enumerate(values.items()):
            option = there.get(name) or ProductOption(product=product, name=name)
            option.values, option.position = list(words), position
            _made(option)

    def _write_sku(self, sku: Sku, columns: dict[str, Any]) -> None:
        """Stock is of a new SKU only: what there is of an old one, orders decide."""
        stock, is_new = columns.pop("stock"), sku._state.adding
        for name, value in columns.items():
            setattr(sku, name, value)
        sku.save(update_fields=None if is_new else columns)
        if is_new and stock:
            adjust_stock(sku, delta=stock, note="import", kind=StockMovementKind.INITIAL)

    def _write_pictures(self, product: Product) -> None:
        for position, path in enumerate(self.pictures):
            with path.open("rb") as file:
                row = ProductPicture(product=product, position=position)
                row.picture.save(path.name, File(file), save=True)
            if position == 0:
                Product.objects.filter(pk=product.pk).update(cover=row.picture.name)


def _made(row: M) -> M:
    """Save a row after looking at it: SQLite would store what is too long for its column."""
    row.full_clean()
    row.save()
    return row


def _category(path: str) -> Category:
    """ "茶叶/绿茶" is a category below another; what is missing is made."""
    category: Category | None = None
    for name in _split(path, "/"):
        there = Category.objects.filter(parent=category, name=name).first()
        category = there or _made(Category(parent=category, name=name))
    if category is None:
        raise ValidationError(_("Give a category."))
    return category


def _split(text: str, separators: str) -> list[str]:
    for separator in separators[1:]:
        text = text.replace(separator, separators[0])
    return [part.strip() for part in text.split(separators[0]) if part.strip()]
