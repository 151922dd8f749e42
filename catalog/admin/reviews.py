"""Reviews: staff answer, hide and show them; nobody rewrites one."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.forms import ModelForm, Textarea
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.translation import gettext_lazy as _

from catalog.models import Review
from catalog.services.review_counts import set_visibility
from catalog.services.reviews import reply_to_review
from miniback.core.shop_admin import FactsOnly, ShopAdmin
from miniback.core.uploads import upload_urls

FIELDS: list[Any] = [
    "product", "sku", "user", "reference", "stars", "text", "pictures", "is_anonymous",
    "is_visible", "moderation", "created_at", "follow_up", "follow_up_pictures", "followed_up_at", "reply",
    "replied_at",
]  # fmt: skip


@admin.register(Review)
class ReviewAdmin(FactsOnly, ShopAdmin):
    when_empty = _("Customers review what they bought after they have received it.")
    list_display = [
        "created_at", "product", "stars", "text", "has_images", "answered", "user", "is_visible",
        "moderation",
    ]  # fmt: skip
    list_filter = [
        "moderation",
        "rating",
        "is_visible",
        "has_images",
        ("replied_at", admin.EmptyFieldListFilter),
    ]
    list_select_related = ["product", "user"]
    search_fields = ["reference", "product__name", "text"]
    ordering = ["-id"]
    actions = ["hide", "show"]
    fields = FIELDS

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("catalog.change_review"))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [name for name in FIELDS if name != "reply"]

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        return super().get_form(
            request,
            obj,
            change,
            widgets={"reply": Textarea(attrs={"rows": 3, "cols": 60})},
            **kwargs,
        )

    def save_model(self, request: HttpRequest, obj: Review, form: ModelForm, change: bool) -> None:
        if "reply" in form.changed_data:
            reply_to_review(obj, form.cleaned_data["reply"])

    @admin.display(description=_("rating"), ordering="rating")
    def stars(self, review: Review) -> str:
        return "★" * review.rating + "☆" * (5 - review.rating)

    @admin.display(description=_("replied"), boolean=True, ordering="replied_at")
    def answered(self, review: Review) -> bool:
        return review.replied_at is not None

    @admin.display(description=_("pictures"))
    def pictures(self, review: Review) -> str:
        return _thumbnails(review.images)

    @admin.display(description=_("pictures of the follow-up"))
    def follow_up_pictures(self, review: Review) -> str:
        return _thumbnails(review.follow_up_images)

    @admin.action(description=_("Hide"), permissions=["change"])
    def hide(self, request: HttpRequest, queryset: QuerySet[Review]) -> None:
        set_visibility(list(queryset.values_list("pk", flat=True)), is_visible=False)

    @admin.action(description=_("Show"), permissions=["change"])
    def show(self, request: HttpRequest, queryset: QuerySet[Review]) -> None:
        set_visibility(list(queryset.values_list("pk", flat=True)), is_visible=True)


def _thumbnails(ids: list[str]) -> str:
    urls = upload_urls(ids)
    shown = [(urls[name], urls[name]) for name in ids if name in urls]
    image = '<a href="{}"><img src="{}" width="80" height="80" alt=""></a> '
    return format_html_join("", image, shown) or "-"
