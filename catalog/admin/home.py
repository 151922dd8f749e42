"""The home page: banners, rows and hot keywords, beside the page as the phone shows it."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html

from catalog.models import Banner, HomeRow, HomeRowProduct, HotKeyword
from catalog.services import home
from miniback.core.money import format_yuan
from miniback.core.pictures import picture_url
from miniback.core.shop_admin import ShopAdmin


class BesideThePhone(ShopAdmin):
    """A list that is dragged into order, and the home page as it is now."""

    change_list_template = "admin/desk/home_list.html"
    ordering = ["position", "id"]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        answer = super().changelist_view(request, extra_context)
        # After what was saved: it shows the new order.
        if hasattr(answer, "context_data"):
            answer.context_data |= _home_page()
        return answer


def _home_page() -> dict[str, Any]:
    return {
        "banners": [(row.title, picture_url(row.picture.name, "card")) for row in home.banners()],
        "shortcuts": [
            (row.name, picture_url(row.picture.name, "thumb")) for row in home.shortcuts()
        ],
        "rows": [(row.title, [_card(card) for card in cards]) for row, cards in home.rows()],
    }


def _card(card: home.Card) -> tuple[str, str, str]:
    """Name, picture, price."""
    return card["name"], picture_url(card["cover"], "card"), f"¥{format_yuan(card['price_fen'])}"


@admin.register(Banner)
class BannerAdmin(BesideThePhone):
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

    @admin.display(description="")
    def thumbnail(self, banner: Banner) -> str:
        return format_html(
            '<img src="{}" height="40" alt="{}">',
            picture_url(banner.picture.name, "thumb"),
            banner.title,
        )


class PickedInline(admin.TabularInline):
    model = HomeRowProduct
    fields = ["product", "position"]
    autocomplete_fields = ["product"]
    extra = 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[HomeRowProduct]:
        return super().get_queryset(request).select_related("product")


@admin.register(HomeRow)
class HomeRowAdmin(BesideThePhone):
    list_display = ["title", "rule", "category", "size", "position", "is_visible"]
    list_editable = ["position", "is_visible"]
    list_select_related = ["category"]
    autocomplete_fields = ["category"]
    inlines = [PickedInline]


@admin.register(HotKeyword)
class HotKeywordAdmin(ShopAdmin):
    list_display = ["keyword", "is_default", "is_highlighted", "position"]
    list_editable = ["is_default", "is_highlighted", "position"]
    search_fields = ["keyword"]
    ordering = ["position", "id"]
