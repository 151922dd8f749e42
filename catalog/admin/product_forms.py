"""The forms of a product, its options and its SKUs."""

from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminSplitDateTime
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from catalog.models import (
    Product,
    ProductStatus,
    Sku,
)
from catalog.services.products import (
    clean_html,
)
from catalog.services.stock import MAX_STOCK
from miniback.core.pictures import PictureFormField
from miniback.core.words import PairsFormField, WordsFormField


class ManyPictures(forms.ClearableFileInput):
    allow_multiple_selected = True


class PicturesFormField(forms.FileField):
    """Any number of pictures, each looked at as one alone would be."""

    widget = ManyPictures

    def clean(self, data: Any, initial: Any = None) -> list[Any]:
        one = PictureFormField()
        return [one.clean(file) for file in data or []]


class ProductForm(forms.ModelForm):
    # When the form was opened: what somebody else saved since then is not written over.
    version = forms.CharField(required=False, widget=forms.HiddenInput)
    tags = WordsFormField(label=_("tags"), required=False, help_text=_("such as: new, gift"))
    attributes = PairsFormField(
        label=_("attributes"),
        required=False,
        may_be_lists=True,
        help_text=_("such as: material: cotton; season: spring, autumn"),
    )
    new_pictures = PicturesFormField(
        label=_("more pictures"),
        required=False,
        help_text=_("The first is the cover of a product that has none."),
    )
    published_at = forms.SplitDateTimeField(
        label=_("published at"),
        required=False,
        widget=AdminSplitDateTime,
        help_text=_("a scheduled product goes on sale then"),
    )

    class Meta:
        model = Product
        fields = [
            "category",
            "brand",
            "freight_template",
            "name",
            "subtitle",
            "cover",
            "detail_html",
            "purchase_limit",
            "tags",
            "attributes",
            "status",
            "published_at",
            "related",
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.fields["version"].initial = self.instance.updated_at.isoformat()

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        if self.instance.pk:
            # SKUs before their product, as orders do (docs/locking.md).
            list(Sku.objects.select_for_update().filter(product=self.instance).order_by("pk"))
            now = Product.objects.select_for_update().get(pk=self.instance.pk).updated_at
            if given.get("version", "") not in {"", now.isoformat()}:
                raise forms.ValidationError(
                    _("Somebody else has changed this product since you opened it. Open it again.")
                )
        return given

    def clean_detail_html(self) -> str:
        return clean_html(self.cleaned_data["detail_html"])

    def clean_tags(self) -> list[str]:
        # Django takes any empty JSON for blank.
        return self.cleaned_data["tags"] or []

    def clean_attributes(self) -> dict[str, Any]:
        return self.cleaned_data["attributes"] or {}

    def clean_published_at(self) -> Any:
        """On sale now is published now, whatever was planned; a plan lies in the future."""
        when, now = self.cleaned_data.get("published_at"), timezone.now()
        if self.cleaned_data.get("status") != ProductStatus.SCHEDULED:
            return min(when, now) if when else now
        if when is None or when <= now:
            raise forms.ValidationError(_("Say when it goes on sale: a time to come."))
        return when


class SkuForm(forms.ModelForm):
    """Stock changes by a number of pieces: a typed total would undo orders placed meanwhile."""

    stock_change = forms.IntegerField(
        label=_("stock change"),
        required=False,
        min_value=-MAX_STOCK,
        max_value=MAX_STOCK,
        help_text=_("pieces to add, or to remove with a minus"),
    )

    options = PairsFormField(
        label=_("options"), required=False, help_text=_("such as: colour: red; size: L")
    )

    class Meta:
        model = Sku
        widgets = {"picture": forms.ClearableFileInput(attrs={"style": "width: 11em"})}
        fields = [
            "code",
            "options",
            "price_fen",
            "market_price_fen",
            "weight_g",
            "picture",
            "is_active",
        ]

    def clean_options(self) -> dict[str, str]:
        # An empty list would pass as "no options".
        return self.cleaned_data["options"] or {}


class OptionForm(forms.ModelForm):
    values = WordsFormField(label=_("values"), help_text=_("such as: red, blue"))
