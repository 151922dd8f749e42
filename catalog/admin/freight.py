"""Freight templates and their rules."""

from django import forms
from django.contrib import admin

from catalog.admin.products import SMALL_JSON
from catalog.models import FreightRule, FreightTemplate
from miniback.core.shop_admin import ShopAdmin


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
