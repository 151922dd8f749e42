"""Categories, brands, and the home page."""

from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.html import format_html

from catalog.models import (
    Banner,
    Brand,
    Category,
    HomeRow,
    HomeRowProduct,
    HotKeyword,
)
from catalog.services.products import announce_new_name
from miniback.core.pictures import picture_url
from miniback.core.shop_admin import ShopAdmin


class SearchedByName(ShopAdmin):
    """Products are found by the names of these: a new one reaches the index by a job."""

    @transaction.atomic
    def save_model(self, request: HttpRequest, obj: Any, form: ModelForm, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if change and "name" in form.changed_data:
            announce_new_name(obj)


@admin.register(Category)
class CategoryAdmin(SearchedByName):
    list_display = ["name", "parent", "position", "is_visible", "is_shortcut"]
    list_editable = ["position", "is_visible", "is_shortcut"]
    list_select_related = ["parent"]
    search_fields = ["name"]
    autocomplete_fields = ["parent"]
    ordering = ["parent__position", "position", "id"]


@admin.register(Brand)
class BrandAdmin(SearchedByName):
    list_display = ["name"]
    search_fields = ["name"]
    ordering = ["name"]


@admin.register(Banner)
class BannerAdmin(ShopAdmin):
    list_display = [
        "thumbnail",
        "title",
        "link_kind",
        "starts_at",
        "ends_at",
        "position",
        "is_visible",
    ]
    list_display_links = ["thumbnail", "title"]
    list_editable = ["position", "is_visible"]
    list_filter = ["is_visible", "link_kind"]
    ordering = ["position", "id"]

    @admin.display(description="")
    def thumbnail(self, banner: Banner) -> str:
        return format_html(
            '<img src="{}" height="40" alt="">', picture_url(banner.picture.name, "thumb")
        )


class PickedInline(admin.TabularInline):
    model = HomeRowProduct
    fields = ["product", "position"]
    autocomplete_fields = ["product"]
    extra = 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[HomeRowProduct]:
        return super().get_queryset(request).select_related("product")


@admin.register(HomeRow)
class HomeRowAdmin(ShopAdmin):
    list_display = ["title", "rule", "category", "size", "position", "is_visible"]
    list_editable = ["position", "is_visible"]
    list_select_related = ["category"]
    autocomplete_fields = ["category"]
    inlines = [PickedInline]
    ordering = ["position", "id"]


@admin.register(HotKeyword)
class HotKeywordAdmin(ShopAdmin):
    list_display = ["keyword", "is_default", "is_highlighted", "position"]
    list_editable = ["is_default", "is_highlighted", "position"]
    search_fields = ["keyword"]
    ordering = ["position", "id"]
