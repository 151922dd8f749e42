"""Admin of people. A customer's own page shows identities and sessions; staff have Django's form."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import AdminPasswordChangeForm, PasswordChangeForm
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from accounts.models import Address, Customer, Identity, Session, Staff, by_phone
from accounts.services.banning import ban, unban
from miniback.core.desk import DeskAction, DeskMixin
from miniback.core.shop_admin import FactsOnly, PasswordOnly, SavesOwnColumns, ShopAdmin


class IdentityInline(FactsOnly, admin.TabularInline):
    model = Identity
    fields = ["platform", "app_id", "openid", "unionid", "created_at"]
    readonly_fields = ["created_at"]
    extra = 0


class SessionInline(FactsOnly, admin.TabularInline):
    model = Session
    fk_name = "user"
    fields = ["device", "created_at", "rotated_at", "revoked_at"]
    extra = 0


class AddressInline(FactsOnly, admin.TabularInline):
    model = Address
    fields = ["recipient", "province", "city", "district", "is_default"]
    extra = 0


class BanForm(forms.Form):
    reason = forms.CharField(
        label=_("reason"),
        max_length=200,
        help_text=_("Kept in the history; the customer is not told."),
    )


# What other apps know of a customer: (request, customer) -> sections of the page. They add theirs,
# because accounts knows nobody above it.
SECTIONS: list[Callable[[HttpRequest, Customer], Iterator["Section"]]] = []


class Section(NamedTuple):
    """A table of a customer's page; a row's first cell links to ``url`` where there is one."""

    title: Any
    columns: list[Any]
    rows: list[tuple[str, list[Any]]]


@admin.register(Customer)
class CustomerAdmin(DeskMixin, ShopAdmin):
    """Customers come from the platforms; staff may block them."""

    change_form_template = "admin/desk/customer.html"
    when_empty = _("Customers come when they log in to the mini program for the first time.")
    desk_permission = "accounts.change_customer"
    desk = (
        DeskAction("ban", _("Ban"), BanForm, ban, {"active"}),
        DeskAction("unban", _("Let in again"), BanForm, unban, {"banned"}),
    )

    list_display = ["id", "nickname", "masked_phone", "identity_count", "is_active", "date_joined"]
    list_display_links = ["id", "nickname"]
    list_filter = ["is_active", "is_avatar_shown"]
    search_fields = ["nickname", "identities__openid"]
    search_help_text = _("nickname, openid, a whole phone number or its last four digits")
    ordering = ["-id"]
    fields = [
        "nickname",
        "masked_phone",
        "avatar_picture",
        "is_avatar_shown",
        "is_active",
        "date_joined",
    ]
    readonly_fields = ["nickname", "masked_phone", "avatar_picture", "is_active", "date_joined"]
    inlines = [IdentityInline, SessionInline, AddressInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Customer]:
        queryset: QuerySet[Customer] = super().get_queryset(request)
        return queryset.annotate(identity_count=Count("identities"))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Customer], search_term: str
    ) -> tuple[QuerySet[Customer], bool]:
        found, may_repeat = super().get_search_results(request, queryset, search_term)
        if search_term.isdigit():
            found |= queryset.filter(by_phone(search_term))
        return found, may_repeat

    def desk_state(self, row: Customer) -> str:
        return "active" if row.is_active else "banned"

    def page_context(self, request: HttpRequest, row: Customer) -> dict[str, Any]:
        sections = [section for make in SECTIONS for section in make(request, row)]
        return {**super().page_context(request, row), "sections": sections}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Customer | None = None) -> bool:
        return False

    @admin.display(description=_("phone"))
    def masked_phone(self, customer: Customer) -> str:
        return customer.masked_phone

    @admin.display(description=_("avatar"))
    def avatar_picture(self, customer: Customer) -> str:
        if customer.avatar is None:
            return "-"
        return format_html('<img src="{}" height="96" alt="">', customer.avatar.url)

    @admin.display(description=_("identities"))
    def identity_count(self, customer: Customer) -> int:
        return int(getattr(customer, "identity_count", 0))


class StaffPasswordForm(PasswordOnly, AdminPasswordChangeForm):
    """For a colleague's password."""


class OwnPasswordForm(PasswordOnly, PasswordChangeForm):
    """For one's own."""

    required_css_class = "required"


@admin.register(Staff)
class StaffAdmin(SavesOwnColumns, UserAdmin):
    change_password_form = StaffPasswordForm
    list_display = ["username", "email", "is_active", "is_superuser", "last_login"]
    list_filter = ["is_active", "is_superuser", "groups"]
    search_fields = ["username", "email"]
    ordering = ["username"]
    fieldsets = (
        (None, {"fields": ("username", "password", "email")}),
        (
            _("Permissions"),
            {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")},
        ),
        (_("Important dates"), {"fields": ("last_login", "date_joined")}),
    )
    readonly_fields = ["last_login", "date_joined"]

    def get_form(self, request: HttpRequest, obj: Staff | None = None, **kwargs: Any) -> Any:  # type: ignore[override]
        """A username is what makes a user staff, so here it may not be empty."""
        form: Any = super().get_form(request, obj, **kwargs)
        if "username" in form.base_fields:
            form.base_fields["username"].required = True
        return form

    def save_model(
        self, request: HttpRequest, obj: Staff, form: forms.ModelForm, change: bool
    ) -> None:
        if not change:
            obj.is_staff = True
        super().save_model(request, obj, form, change)
