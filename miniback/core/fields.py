"""Model fields: exact identifiers, fen, encrypted text."""

from typing import Any

from django import forms
from django.core.exceptions import FieldError, ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.translation import gettext_lazy as _

from miniback.core.crypto import decrypt, encrypt
from miniback.core.money import MAX_FEN, NotYuan, format_yuan, parse_yuan


class ExactCharField(models.CharField):
    """Text compared byte by byte on every database: letter case and trailing spaces count.

    MariaDB's and MySQL's default collations take ``oAbc`` and ``oABC``, or ``a`` and ``a ``, for
    the same openid. The price: ``icontains`` on it is case-sensitive there.
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> Any:
        parameters: Any = super().db_parameters(connection)
        if connection.vendor == "mysql":
            is_mariadb = connection.mysql_is_mariadb  # type: ignore[attr-defined]
            parameters["collation"] = "utf8mb4_nopad_bin" if is_mariadb else "utf8mb4_0900_bin"
        elif connection.vendor == "postgresql":
            parameters["collation"] = "C"
        return parameters


def beginning(name: str, word: str) -> dict[str, str]:
    """A lookup of an ExactCharField that begins with ``word``; every database answers it from the index."""
    return {f"{name}__gte": word, f"{name}__lt": f"{word}\uffff"}


class YuanFormField(forms.CharField):
    """Staff see and type yuan; the form's value is fen."""

    def __init__(self, *, min_fen: int = 0, max_fen: int = MAX_FEN, **kwargs: Any) -> None:
        kwargs.setdefault("help_text", _("in yuan, such as 19.90"))
        super().__init__(**kwargs)
        self.validators += [MinValueValidator(min_fen), MaxValueValidator(max_fen)]
        self.widget.attrs.update(inputmode="decimal", size=10)

    def prepare_value(self, value: Any) -> Any:
        return format_yuan(value) if isinstance(value, int) else value

    def to_python(self, value: Any) -> Any:
        if isinstance(value, int) or value in self.empty_values:
            return None if value in self.empty_values else value
        try:
            return parse_yuan(value)
        except NotYuan as error:
            raise ValidationError(str(error.detail)) from error

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(initial) != self.to_python(data))
        except ValidationError:
            return True


class FenField(models.BigIntegerField):
    """Money in fen: a whole number, never a float. Signs are the model's CheckConstraints' affair."""

    def formfield(self, *args: Any, **kwargs: Any) -> Any:
        options = {"required": not self.blank, "label": self.verbose_name, **kwargs}
        if self.help_text:
            options["help_text"] = self.help_text
        options.pop("widget", None)
        return YuanFormField(**options)


class EncryptedTextField(models.TextField):
    """Text that only this application can read. It cannot be searched: keep a keyed hash beside it."""

    def get_prep_value(self, value: Any) -> Any:
        return encrypt(value) if value else value

    def from_db_value(self, value: Any, expression: Any, connection: BaseDatabaseWrapper) -> Any:
        return decrypt(value) if value else value

    def get_lookup(self, lookup_name: str) -> Any:
        if lookup_name != "isnull":
            raise FieldError("An encrypted field cannot be searched; use its keyed hash.")
        return super().get_lookup(lookup_name)
