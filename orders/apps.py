from importlib import import_module

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class OrdersConfig(AppConfig):
    name = "orders"
    verbose_name = _("orders")

    def ready(self) -> None:
        """Importing the module registers its checks."""
        import_module("orders.checks")
