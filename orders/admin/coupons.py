"""The coupons desk: offers, and what customers hold of them."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import Customer
from miniback.core.errors import DomainError
from miniback.core.money import format_short
from miniback.core.shop_admin import FactsOnly, ShopAdmin
from orders.models import ClaimedCoupon, Coupon, CouponKind
from orders.services.coupons import give_coupon

# What customers hold keeps its promise; the rest may change.
CHANGEABLE = {"name", "quota", "is_active"}


def in_words(coupon: Coupon) -> str:
    """Such as "From ¥100: ¥20 off, 1 a customer" (满100减20，每人1张)."""
    amounts = {
        "from": format_short(coupon.threshold_fen),
        "off": format_short(coupon.amount_fen),
        "percent": coupon.percent_off,
        "most": format_short(coupon.max_discount_fen or 0),
    }
    match coupon.kind:
        case CouponKind.FREIGHT:
            gain = gettext("free freight")
        case CouponKind.PERCENT:
            gain = gettext("%(percent)d%% off") % amounts
            if coupon.max_discount_fen is not None:
                gain += gettext(", at most ¥%(most)s") % amounts
        case _:
            gain = gettext("¥%(off)s off") % amounts
    start = gettext("from ¥%(from)s: ") % amounts if coupon.threshold_fen else ""
    return start + gain + gettext(", %(count)d a customer") % {"count": coupon.per_customer}


class CouponForm(forms.ModelForm):
    class Meta:
        model = Coupon
        fields = [
            "name",
            "kind",
            "threshold_fen",
            "amount_fen",
            "percent_off",
            "max_discount_fen",
            "scope",
            "categories",
            "brands",
            "products",
            "source",
            "code",
            "quota",
            "per_customer",
            "starts_on",
            "ends_on",
            "valid_days",
            "is_active",
        ]

    def clean_code(self) -> str | None:
        # An empty one would be unique only once.
        return self.cleaned_data["code"] or None

    def clean_quota(self) -> int | None:
        quota: int | None = self.cleaned_data["quota"]
        if quota is not None and quota < self.instance.claimed_count:
            raise forms.ValidationError(_("More than that were claimed already."))
        return quota


@admin.register(Coupon)
class CouponAdmin(ShopAdmin):
    when_empty = _("A coupon brings customers back: money off, a percentage off, or free freight.")
    form = CouponForm
    list_display = [
        "name",
        "summary",
        "scope",
        "source",
        "claimed",
        "ends_on",
        "is_active",
    ]
    list_filter = ["is_active", "kind", "source"]
    search_fields = ["name", "code"]
    autocomplete_fields = ["categories", "brands", "products"]
    ordering = ["-id"]
    fieldsets = (
        (None, {"fields": ["name", "is_active"]}),
        (
            _("what it takes off"),
            {"fields": ["kind", "amount_fen", "percent_off", "max_discount_fen", "threshold_fen"]},
        ),
        (_("for"), {"fields": ["scope", "categories", "brands", "products"]}),
        (
            _("how it is got"),
            {"fields": ["source", "code", "quota", "claimed_count", "used", "per_customer"]},
        ),
        (_("when"), {"fields": ["starts_on", "ends_on", "valid_days"]}),
    )

    @admin.display(description=_("in words"))
    def summary(self, coupon: Coupon) -> str:
        return in_words(coupon)

    @admin.display(description=_("claimed"), ordering="claimed_count")
    def claimed(self, coupon: Coupon) -> str:
        return f"{coupon.claimed_count} / {coupon.quota or '∞'}"

    @admin.display(description=_("used"))
    def used(self, coupon: Coupon) -> str:
        if coupon.pk is None:
            return "-"
        count = ClaimedCoupon.objects.filter(coupon=coupon, used_at__isnull=False).count()
        url = reverse("admin:orders_claimedcoupon_changelist")
        return format_html('<a href="{}?coupon__id__exact={}">{}</a>', url, coupon.pk, count)

    def get_readonly_fields(self, request: HttpRequest, obj: Coupon | None = None) -> list[str]:
        if obj is None or not obj.claimed_count:
            return ["claimed_count", "used"]
        return [
            *(name for name in CouponForm.Meta.fields if name not in CHANGEABLE),
            "claimed_count",
            "used",
        ]

    def has_delete_permission(self, request: HttpRequest, obj: Coupon | None = None) -> bool:
        """One that nobody has may go; another is made inactive."""
        may = super().has_delete_permission(request, obj)
        return may and (obj is None or not obj.claimed_count)


class GiveForm(forms.ModelForm):
    class Meta:
        model = ClaimedCoupon
        fields = ["coupon", "user"]


@admin.register(ClaimedCoupon)
class ClaimedCouponAdmin(FactsOnly, ShopAdmin):
    """Adding one gives it, through the service; nothing else is changed by hand."""

    form = GiveForm
    list_display = ["coupon", "user", "claimed_at", "valid_from", "valid_until", "used_at"]
    list_filter = [("used_at", admin.EmptyFieldListFilter)]
    list_select_related = ["coupon", "user"]
    found_by = (
        "coupon__name",
        "coupon__code",
        "user__nickname",
    )
    search_help_text = _("name or code of the coupon, or nickname")
    autocomplete_fields = ["coupon"]
    raw_id_fields = ["user"]
    ordering = ["-id"]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("orders.add_claimedcoupon")

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "user":
            kwargs["queryset"] = Customer.objects.all()
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        given = give_coupon(obj.coupon, obj.user)
        obj.pk = given.pk
        obj.refresh_from_db()

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """A refusal says why, and nothing is given."""
        try:
            return super().add_view(request, form_url, extra_context)
        except DomainError as error:
            self.message_user(request, error.reason, messages.ERROR)
            return HttpResponseRedirect(reverse("admin:orders_claimedcoupon_changelist"))
