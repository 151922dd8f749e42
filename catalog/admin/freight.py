"""Freight templates and their rules."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import JSONField

from catalog.models import FreightRule, FreightTemplate
from miniback.core.shop_admin import ShopAdmin

SMALL_JSON: Any = {JSONField: {"widget": forms.Textarea(attrs={"rows": 2, "cols": 26})}}


class FreightRuleForm(forms.ModelForm):
    def clean_regions(self) -> list[str]:
        # Django takes any empty JSON for blank.
        return self.cleaned_data["regions"] or []


class FreightRuleInline(admin.TabularInline):
    model = FreightRule
    form = FreightRuleForm
    formfield_overrides = SMALL_JSON
    extra = 0


@admin.register(FreightTemplate)
class FreightTemplateAdmin(ShopAdmin):
    list_display = ["name", "unit"]
    search_fields = ["name"]
    ordering = ["name"]
    inlines = [FreightRuleInline]
