"""Forms of the back office as a browser sends them."""

from collections.abc import Iterator
from typing import Any

from django.forms import FileField
from django.test import Client


def sent(form: Any) -> Iterator[tuple[str, Any]]:
    """What a browser sends of a form that nobody has touched."""
    for bound in form:
        value = bound.value()
        widgets = getattr(bound.field.widget, "widgets", None)
        if widgets:
            for place, part in enumerate(bound.field.widget.decompress(value)):
                yield f"{bound.html_name}_{place}", "" if part is None else str(part)
        elif isinstance(value, bool):
            if value:
                yield bound.html_name, "on"
        elif isinstance(bound.field, FileField) or value is None:
            continue
        else:
            yield bound.html_name, value


def page_as_opened(client: Client, url: str) -> tuple[dict[str, Any], dict[type, set[str]]]:
    """The form of a page as it would be sent, and the columns it asks for, by model."""
    context = client.get(url).context
    form = context["adminform"].form
    data, asked = dict(sent(form)), {form._meta.model: set(form.fields)}
    for wrapped in context["inline_admin_formsets"]:
        formset = wrapped.formset
        data |= dict(sent(formset.management_form))
        for inner in formset.initial_forms:
            data |= dict(sent(inner))
            asked.setdefault(formset.model, set()).update(inner.fields)
    return data, asked
