"""The back office speaks Chinese: no name of a model, column, field or action is left in English."""

import re

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import label_for_field
from django.utils import translation

CHINESE = re.compile(r"[\u4e00-\u9fff]")
# Words that are the same in both.
SAME = {"ID", "SKU", "openid", "unionid", "AppID", "PEM", "id", ""}
OURS = ("accounts", "catalog", "core", "orders")


@pytest.fixture(autouse=True)
def _in_chinese():
    with translation.override("zh-hans"):
        yield


def english(words):
    return {str(word) for word in words if not CHINESE.search(str(word))} - SAME


def test_models_and_their_fields_are_named() -> None:
    models = [model for label in OURS for model in apps.get_app_config(label).get_models()]
    assert english(model._meta.verbose_name for model in models) == set()
    assert english(model._meta.verbose_name_plural for model in models) == set()


@pytest.mark.parametrize("model", list(admin.site._registry), ids=lambda model: model._meta.label)
def test_columns_fields_and_actions_are_named(model, rf) -> None:
    page = admin.site._registry[model]
    shown = [*page.list_display, *page.readonly_fields]
    labels = [label_for_field(name, model, page) for name in shown if name != "__str__"]
    fields = [field.verbose_name for field in model._meta.fields if field.editable]
    inlines = [
        label_for_field(name, inline.model, inline(model, admin.site))
        for inline in page.inlines
        for name in inline.fields or ()
        if name in {field.name for field in inline.model._meta.fields} or hasattr(inline, name)
    ]
    actions = [getattr(page, name).short_description for name in page.actions or ()]
    assert english([*labels, *fields, *inlines, *actions]) == set()
