"""The shop's addresses, and the references that the benches compare it with."""

from django.urls import path

from bench.plain_drf import hello, router
from bench.raw_orders import raw_orders
from miniback.urls import urlpatterns as shop

urlpatterns = [
    path("raw/orders/", raw_orders),
    path("hello/", hello),
    *router.urls,
    *shop,
]
