"""The shop's message templates; what was sent is in the outbox."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet, Sum
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from miniback.core.shop_admin import ShopAdmin
from orders.models import MessageTemplate


@admin.register(MessageTemplate)
class MessageTemplateAdmin(ShopAdmin):
    list_display = ["kind", "template_id", "is_active", "agreed"]
    fields = ["kind", "template_id", "fields", "page", "is_active"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[MessageTemplate]:
        return super().get_queryset(request).annotate(agreed=Sum("consents__count", default=0))

    @admin.display(description=_("messages customers still agree to"), ordering="agreed")
    def agreed(self, template: Any) -> int:
        count: int = template.agreed
        return count
