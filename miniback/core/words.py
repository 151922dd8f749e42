"""Form fields in which staff write words, and names with values, without brackets and quotes."""

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

BETWEEN_WORDS = re.compile(r"[,，、\n]")
BETWEEN_PAIRS = re.compile(r"[;；\n]")


def split(text: str, between: re.Pattern[str]) -> list[str]:
    return [part.strip() for part in between.split(text) if part.strip()]


class WordsFormField(forms.JSONField):
    """ "new, gift" is ["new", "gift"]. JSON is taken, too."""

    widget = forms.TextInput(attrs={"class": "vTextField"})

    def bound_data(self, data: Any, initial: Any) -> Any:
        return initial if self.disabled else data

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str) and not value.lstrip().startswith(("[", "{")):
            return split(value, BETWEEN_WORDS)
        return super().to_python(value)

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool((self.to_python(data) or []) != (initial or []))
        except ValidationError:
            return True


class PairsFormField(WordsFormField):
    """ "colour: red; size: L" is {"colour": "red", "size": "L"}; a value with commas may be a list."""

    def __init__(self, *args: Any, may_be_lists: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.may_be_lists = may_be_lists

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return "; ".join(
            f"{name}: {', '.join(found) if isinstance(found, list) else found}"
            for name, found in value.items()
        )

    def to_python(self, value: Any) -> Any:
        if not isinstance(value, str) or value.lstrip().startswith(("[", "{")):
            return super().to_python(value)
        pairs: dict[str, Any] = {}
        for part in split(value, BETWEEN_PAIRS):
            name, colon, text = re.sub("：", ":", part, count=1).partition(":")
            if not (name.strip() and colon and text.strip()):
                raise ValidationError(_("Write name: value; name: value."))
            words = split(text, BETWEEN_WORDS) if self.may_be_lists else [text.strip()]
            pairs[name.strip()] = words if len(words) > 1 else words[0]
        return pairs

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool((self.to_python(data) or {}) != (initial or {}))
        except ValidationError:
            return True
