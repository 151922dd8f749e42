"""What the platforms call, in their own formats."""

import logging

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from miniback.core.errors import PayloadTooLarge
from miniback.platforms.errors import Misconfigured, NoticeRejected
from orders.services import notices

logger = logging.getLogger(__name__)

MAX_NOTICE_BYTES = 64 * 1024


@method_decorator(csrf_exempt, name="dispatch")
class WeChatPayCallback(View):
    """WeChat Pay's notices, in its own format: the status is what counts.

    Not a view of the API: no cookie, no token, no parser stands before the raw body.
    """

    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> HttpResponse:
        length = request.META.get("CONTENT_LENGTH") or "0"
        if not length.isdigit() or int(length) > MAX_NOTICE_BYTES:
            return JsonResponse({"code": "FAIL", "message": PayloadTooLarge.code}, status=413)
        try:
            notices.receive_wechatpay_notice(request.headers, request.body)
        except NoticeRejected as error:
            code = 400 if error.code == "BAD_RESOURCE" else 401
            return JsonResponse({"code": "FAIL", "message": error.code}, status=code)
        except (Misconfigured, DatabaseError):
            # 5xx, so that the platform sends it again.
            logger.exception("a notice could not be taken")
            return JsonResponse({"code": "FAIL", "message": "NOT_READY"}, status=503)
        return HttpResponse(status=204)
