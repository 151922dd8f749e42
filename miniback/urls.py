"""Every address of the shop."""

from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, re_path
from django.views.generic import RedirectView, TemplateView
from django.views.static import serve
from drf_spectacular.views import SpectacularAPIView, SpectacularRedocView, SpectacularSwaggerView

from miniback.api import router
from miniback.health import healthz, readyz
from miniback.metrics import metrics
from orders.viewsets import AlipayCallback, WeChatPayCallback, WeChatPushCallback

handler400 = "miniback.core.handlers.bad_request"
handler404 = "miniback.core.handlers.page_not_found"
handler500 = "miniback.core.handlers.server_error"

api: list[URLPattern | URLResolver] = [
    *router.urls,
    re_path(r"^callbacks/alipay/?$", AlipayCallback.as_view(), name="alipay-callback"),
    re_path(r"^callbacks/wechat/?$", WeChatPushCallback.as_view(), name="wechat-callback"),
    re_path(r"^callbacks/wechatpay/?$", WeChatPayCallback.as_view(), name="wechatpay-callback"),
    re_path(r"^schema/?$", SpectacularAPIView.as_view(), name="schema"),
    re_path(r"^docs/?$", SpectacularSwaggerView.as_view(), name="docs"),
    re_path(r"^redoc/?$", SpectacularRedocView.as_view(), name="redoc"),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/", include(api)),
    path("admin", RedirectView.as_view(url="/admin/")),
    path("admin/", admin.site.urls),
    re_path(r"^healthz/?$", healthz, name="healthz"),
    re_path(r"^readyz/?$", readyz, name="readyz"),
    re_path(r"^metrics/?$", metrics, name="metrics"),
]

if settings.DEBUG:
    # In production the web server in front serves pictures, and there is no front page.
    urlpatterns += [
        path("", TemplateView.as_view(template_name="front_page.html")),
        path("media/<path:path>", serve, {"document_root": settings.MEDIA_ROOT}),
    ]
