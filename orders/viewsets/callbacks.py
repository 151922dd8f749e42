"""What the platforms call, in their own formats."""

import logging
from abc import ABC, abstractmethod
from typing import ClassVar

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from miniback.core.errors import PayloadTooLarge
from miniback.core.providers import wechat_push as push
from miniback.platforms.errors import Misconfigured, NoticeRejected, PlatformError
from orders.models import Channel
from orders.services import notices
from orders.services.wechat_events import receive_event

logger = logging.getLogger(__name__)

MAX_NOTICE_BYTES = 64 * 1024
# Genuine, but not what such a notice looks like; anything else is not from the platform.
MALFORMED = {"BAD_RESOURCE", "BAD_FORM", "FIELD_TWICE"}


@method_decorator(csrf_exempt, name="dispatch")
class NoticeCallback(View, ABC):
    """Not a view of the API: no cookie, no token, no parser stands before the raw body."""

    http_method_names = ["post"]
    channel: ClassVar[Channel]

    def post(self, request: HttpRequest) -> HttpResponse:
        length = request.META.get("CONTENT_LENGTH") or "0"
        if not length.isdigit() or int(length) > MAX_NOTICE_BYTES:
            return self.refuse(413, PayloadTooLarge.code)
        try:
            notices.receive_notice(self.channel, request.headers, request.body)
        except NoticeRejected as error:
            return self.refuse(400 if error.code in MALFORMED else 401, error.code)
        except (Misconfigured, DatabaseError):
            # 5xx, so that the platform sends it again.
            logger.exception("a notice could not be taken")
            return self.refuse(503, "NOT_READY")
        return self.accept()

    @abstractmethod
    def accept(self) -> HttpResponse:
        """What tells the platform that it may forget the notice."""

    @abstractmethod
    def refuse(self, status: int, code: str) -> HttpResponse:
        """What lets it come again."""


class WeChatPayCallback(NoticeCallback):
    """The status is what counts. (PLATFORMS B5)"""

    channel = Channel.WECHAT

    def accept(self) -> HttpResponse:
        return HttpResponse(status=204)

    def refuse(self, status: int, code: str) -> HttpResponse:
        return JsonResponse({"code": "FAIL", "message": code}, status=status)


@method_decorator(csrf_exempt, name="dispatch")
class WeChatPushCallback(View):
    """Message push: the console's check of the address, and events. (PLATFORMS A9)"""

    http_method_names = ["get", "post"]

    def get(self, request: HttpRequest) -> HttpResponse:
        try:
            return HttpResponse(push().check(request.GET), content_type="text/plain")
        except PlatformError as error:
            return HttpResponse(error.code, status=401, content_type="text/plain")

    def post(self, request: HttpRequest) -> HttpResponse:
        length = request.META.get("CONTENT_LENGTH") or "0"
        if not length.isdigit() or int(length) > MAX_NOTICE_BYTES:
            return HttpResponse(PayloadTooLarge.code, status=413, content_type="text/plain")
        try:
            receive_event(push().read(request.GET, request.body))
        except NoticeRejected as error:
            return HttpResponse(error.code, status=401, content_type="text/plain")
        except (Misconfigured, DatabaseError):
            logger.exception("an event could not be taken")
            return HttpResponse("NOT_READY", status=503, content_type="text/plain")
        return HttpResponse("success", content_type="text/plain")


class AlipayCallback(NoticeCallback):
    """The body is what counts: these seven characters and nothing else. (PLATFORMS C4)"""

    channel = Channel.ALIPAY

    def accept(self) -> HttpResponse:
        return HttpResponse("success", content_type="text/plain")

    def refuse(self, status: int, code: str) -> HttpResponse:
        return HttpResponse(f"fail {code}", status=status, content_type="text/plain")
