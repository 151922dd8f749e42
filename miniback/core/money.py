"""Fen (1/100 CNY, whole numbers) inside, yuan on screens."""

import re

from django.utils.translation import gettext_lazy as _

from miniback.core.errors import Refused

# A price or an order above this is a typing mistake.
MAX_FEN = 100_000_000_00
_YUAN = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,2}))?", re.ASCII)


class NotYuan(Refused):
    detail = _("Enter an amount in yuan with at most two decimals, such as 19.90.")


def format_yuan(fen: int) -> str:
    """1990 -> "19.90"."""
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100}.{abs(fen) % 100:02d}"


def format_short(fen: int) -> str:
    """10000 -> "100", 1990 -> "19.90"."""
    return format_yuan(fen).removesuffix(".00")


def parse_yuan(yuan: str) -> int:
    """ "19.9" -> 1990, by splitting text and never through a float. Raises NotYuan."""
    match = _YUAN.fullmatch(yuan.strip())
    if not match:
        raise NotYuan
    sign, whole, cents = match.groups()
    fen = int(whole) * 100 + int((cents or "").ljust(2, "0"))
    return -fen if sign else fen
