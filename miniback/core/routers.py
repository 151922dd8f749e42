"""The API's router: both slash forms, singletons, only GET, POST, PUT and DELETE."""

from typing import Any, ClassVar

from rest_framework.routers import DefaultRouter, DynamicRoute, Route
from rest_framework.viewsets import ViewSetMixin

# wx.request can send neither PATCH nor a DELETE with a body.
COLLECTION = {"get": "list", "post": "create"}
ITEM = {"get": "retrieve", "put": "update", "delete": "destroy"}
SINGLETON = {"get": "retrieve", "post": "create", "put": "update", "delete": "destroy"}


def _route(url: str, mapping: dict[str, str], *, detail: bool) -> Route:
    name = "{basename}-detail" if detail else "{basename}-list"
    return Route(url=url, mapping=mapping, name=name, detail=detail, initkwargs={})


def _actions(url: str, *, detail: bool) -> DynamicRoute:
    name = "{basename}-{url_name}"
    return DynamicRoute(url=url, name=name, detail=detail, initkwargs={})


class ApiRouter(DefaultRouter):
    """``register_singleton`` routes a viewset without an id, such as ``me/`` or ``cart/``."""

    include_root_view = False
    include_format_suffixes = False
    routes = [
        _route(r"^{prefix}{trailing_slash}$", COLLECTION, detail=False),
        _actions(r"^{prefix}/{url_path}{trailing_slash}$", detail=False),
        _route(r"^{prefix}/{lookup}{trailing_slash}$", ITEM, detail=True),
        _actions(r"^{prefix}/{lookup}/{url_path}{trailing_slash}$", detail=True),
    ]
    singleton_routes: ClassVar[list[Route | DynamicRoute]] = [
        _route(r"^{prefix}{trailing_slash}$", SINGLETON, detail=False),
        _actions(r"^{prefix}/{url_path}{trailing_slash}$", detail=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.trailing_slash = "/?"
        self._singletons: set[type[ViewSetMixin]] = set()

    def register_singleton(self, prefix: str, viewset: type[ViewSetMixin], basename: str) -> None:
        self._singletons.add(viewset)
        self.register(prefix, viewset, basename)

    def get_routes(self, viewset: Any) -> Any:
        routes = self.routes
        if viewset in self._singletons:
            self.routes = self.singleton_routes
        try:
            return super().get_routes(viewset)
        finally:
            self.routes = routes
