"""The project as an app (for its commands), and our admin site in the place of Django's."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class MinibackConfig(AppConfig):
    name = "miniback"


class MinibackAdminConfig(AdminConfig):
    default_site = "miniback.site.MinibackAdminSite"
