"""How text is cut into the words of the search index: pure, the same for products and questions.

Chinese has no spaces. Each pair of neighbouring characters is a token, and each single character;
a run of Latin letters and digits is one, found by its beginning too.
"""

import re
import unicodedata
from collections.abc import Iterator

MAX_TOKEN = 16
MAX_QUERY = 50
# Of a question; what is longer is cut off.
MAX_TERMS = 8

# Han with its extensions and compatibility forms, kana, hangul.
_HAN = r"\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\U00020000-\U000323af"
# Or letters and digits of any other script.
_RUN = re.compile(rf"(?P<han>[{_HAN}]+)|(?:(?![{_HAN}])[^\W_])+")


def normalise(text: str) -> str:
    """One canonical form: full width is half width, capitals are small, spaces are single."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def runs(text: str) -> Iterator[tuple[str, bool]]:
    """Yield each run of ``text`` (normalised) and whether it is Chinese."""
    for match in _RUN.finditer(text):
        yield match[0], match["han"] is not None


def index_tokens(text: str, *, beginnings: bool = True) -> set[str]:
    """What a product with this text (normalised) is found by; ``beginnings`` of Latin words too."""
    tokens: set[str] = set()
    for run, has_no_spaces in runs(text):
        if has_no_spaces:
            tokens |= set(run) | pairs(run)
        else:
            word = run[:MAX_TOKEN]
            shortest = 2 if beginnings else len(word)
            tokens |= {word[:size] for size in range(shortest, len(word))} | {word}
    return tokens


def pairs(run: str) -> set[str]:
    return {run[place : place + 2] for place in range(len(run) - 1)}


def query_terms(text: str) -> list[str]:
    """The runs of a question, each of which must stand in the product, in order and once."""
    found = dict.fromkeys(run for run, _chinese in runs(normalise(text[:MAX_QUERY])))
    return list(found)[:MAX_TERMS]


def is_chinese(term: str) -> bool:
    [(_run, answer)] = runs(term)
    return answer


def term_tokens(term: str) -> set[str]:
    """The tokens a product must have for this term. More than one: check the term on its text."""
    if is_chinese(term):
        return pairs(term) or {term}
    return {term[:MAX_TOKEN]}


def is_settled_by_tokens(term: str) -> bool:
    """Whether the tokens prove that the term stands in the text."""
    return len(term_tokens(term)) == 1 and len(term) <= MAX_TOKEN
