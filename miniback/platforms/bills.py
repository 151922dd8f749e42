"""What the trade bills of the platforms have in common: text of lines, amounts in yuan, names of columns.

A reader never ends quietly: what it does not understand is a BadBill that names the line, and the
rows must be as many, and come to the same sums, as the bill itself says.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from miniback.platforms.contract import BEIJING
from miniback.platforms.errors import BadBill, TryAgain

TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", re.ASCII)
AMOUNT = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
THOUSANDS = re.compile(r"-?\d{1,3}(,\d{3})+(\.\d+)?", re.ASCII)


def fen(text: str) -> int:
    """Whole fen of an amount in yuan. Raises TryAgain for anything that is not one."""
    try:
        amount = Decimal(text) * 100
    except (InvalidOperation, TypeError, ValueError) as error:
        raise TryAgain("BAD_ANSWER", "amount") from error
    if not amount.is_finite() or amount != amount.to_integral_value() or abs(amount) >= 10**13:
        raise TryAgain("BAD_ANSWER", "amount")
    return int(amount)


class Line(NamedTuple):
    """A row of a bill by its columns' names, and where it stands."""

    number: int
    values: Mapping[str, str]

    def bad(self, problem: str) -> BadBill:
        return bad_line(self.number, problem)

    def text(self, *names: str) -> str:
        """Return the value of the first of ``names`` that the bill has."""
        for name in names:
            if name in self.values:
                return self.values[name]
        raise self.bad(f"no column {names[0]}")

    def fen(self, *names: str) -> int:
        return read_fen(self.number, self.text(*names))

    def fen_or_zero(self, *names: str) -> int:
        """For sums: a column that is not about this kind of row may be empty."""
        return self.fen(*names) if self.text(*names) else 0

    def moment(self, name: str) -> datetime:
        value = self.text(name)
        try:
            if not TIME.fullmatch(value):
                raise ValueError(value)
            return datetime.fromisoformat(value).replace(tzinfo=BEIJING)
        except ValueError as error:
            raise self.bad(f"{name} is no time") from error


def bad_line(number: int, problem: str) -> BadBill:
    return BadBill("BAD_BILL", f"line {number}: {problem}")


def make_line(number: int, values: list[str], names: list[str]) -> Line:
    """Raises BadBill for a row that does not fit the heading."""
    if len(values) != len(names):
        raise bad_line(number, f"{len(values)} values, {len(names)} columns")
    return Line(number, dict(zip(names, values, strict=True)))


def read_text(content: bytes) -> str:
    """UTF-8 or GB18030: Chinese in the one is hardly ever good in the other."""
    for encoding in ("utf-8", "gb18030"):
        try:
            return content.decode(encoding).removeprefix("\ufeff")
        except UnicodeDecodeError:
            continue
    raise BadBill("BAD_BILL", "neither UTF-8 nor GB18030")


def read_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines that are not empty, with their numbers. What else ends a line in Unicode is text here."""
    for number, line in enumerate(re.split(r"\r?\n", text), start=1):
        if line.strip():
            yield number, line


def read_heading(lines: Iterator[tuple[int, str]], must_have: str) -> tuple[int, list[str]]:
    """Return where the heading stands, and its names without units of money."""
    for number, line in lines:
        names = [re.sub(r"[(（]元[)）]$", "", name.strip('` \t"')) for name in line.split(",")]
        if must_have not in names:
            raise bad_line(number, f"no column {must_have}")
        if len(set(names)) != len(names):
            raise bad_line(number, "a column stands there twice")
        return number, names
    raise BadBill("BAD_BILL", "the file is empty")


def read_fen(number: int, text: str) -> int:
    """Whole fen. Raises BadBill for anything else."""
    plain = text.replace(",", "") if THOUSANDS.fullmatch(text) else text
    try:
        if not AMOUNT.fullmatch(plain):
            raise TryAgain("BAD_ANSWER", "amount")
        return fen(plain)
    except TryAgain as error:
        raise bad_line(number, f"{text[:30]!r} is no amount") from error


def not_negative(line: Line, amount_fen: int) -> int:
    if amount_fen < 0:
        raise line.bad("a negative amount")
    return amount_fen
