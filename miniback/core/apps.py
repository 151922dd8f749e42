from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CoreConfig(AppConfig):
    name = "miniback.core"
    label = "core"
    verbose_name = _("system")

    def ready(self) -> None:
        from miniback.core import checks  # noqa: F401, PLC0415  (registers them once apps are loaded)
