"""What people write, as the platforms take it."""

import pytest

from miniback.platforms.text import cut_bytes, refund_reason, safe_text


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("龙井绿茶", "龙井绿茶"),
        ("🍵茶🍵", "茶"),
        ("茶❤️", "茶❤"),
        ("👨‍👩‍👧 家庭装", "家庭装"),
        ("a\nb\tc\x00d\x7f", "abcd"),
        ("a\u2028b\u2029c\x85d", "abcd"),
        ("a\u200bb\u202ec\ufeffd", "abcd"),
        ("a\ud800b", "ab"),
        ("𠮷野家", "野家"),
        ("  茶  ", "茶"),
        ("🍵", ""),
        ("", ""),
    ],
)
def test_safe_text_keeps_what_can_be_seen(text: str, safe: str) -> None:
    assert safe_text(text) == safe


@pytest.mark.parametrize(
    ("text", "longest", "cut"),
    [
        ("茶茶茶", 9, "茶茶茶"),
        ("茶茶茶", 8, "茶茶"),
        ("茶茶茶", 2, ""),
        ("aé", 2, "a"),
        ("abc", 0, ""),
    ],
)
def test_cut_bytes_breaks_no_character(text: str, longest: int, cut: str) -> None:
    assert cut_bytes(text, longest) == cut


def test_refund_reason_fits_into_eighty_bytes() -> None:
    assert refund_reason("质量问题" * 20) == ("质量问题" * 20)[:26]
    assert refund_reason("x" * 81) == "x" * 80
    assert refund_reason("x" * 79 + " y") == "x" * 79
    assert refund_reason("😀\n不想要了😀") == "不想要了"
