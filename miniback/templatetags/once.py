"""A form of the back office is carried out once, however often it is sent."""

import secrets

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()


@register.simple_tag
def once() -> SafeString:
    """Put a key into a form, good for one sending: `miniback.site` reads it."""
    return format_html('<input type="hidden" name="once" value="{}">', secrets.token_hex(16))
