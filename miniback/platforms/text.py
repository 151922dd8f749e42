"""Text of people, made fit for fields in which the platforms take neither everything nor any length."""

import re
import unicodedata

# Control and format characters, lone surrogates, separators of lines and paragraphs.
UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
VARIATIONS = re.compile("[\ufe00-\ufe0f]")
MAX_REASON_BYTES = 80


def safe_text(text: str) -> str:
    """Return ``text`` without emoji and what cannot be seen, the same for the same text.

    A number that is sent again with another description is refused, so nothing here may depend on
    anything but the text.
    """
    seen = (one for one in text if one <= "\uffff" and unicodedata.category(one) not in UNSEEN)
    return VARIATIONS.sub("", "".join(seen)).strip()


def cut_bytes(text: str, longest: int) -> str:
    """Return as much of ``text`` as fits into so many bytes of UTF-8, in whole characters."""
    return text.encode()[:longest].decode(errors="ignore")


def refund_reason(text: str) -> str:
    """Return what a refund may say, which may be nothing."""
    return cut_bytes(safe_text(text), MAX_REASON_BYTES).rstrip()
