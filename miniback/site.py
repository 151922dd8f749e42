"""The back office: Django's own admin under our name."""

from django.contrib.admin import AdminSite
from django.utils.translation import gettext_lazy as _


class MinibackAdminSite(AdminSite):
    site_header = _("miniback shop")
    site_title = _("miniback shop")
    index_title = _("Back office")
    empty_value_display = "-"
