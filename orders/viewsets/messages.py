"""What a customer agrees to hear of."""

from functools import partial

from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from miniback.core.errors import KeyMismatch
from miniback.core.idempotency import run_request_once
from miniback.core.schema import describe, idempotency_key
from orders.serializers import ConsentsInput, MessageTemplateSerializer
from orders.services import messages


class MessageViewSet(GenericViewSet):
    serializer_class = MessageTemplateSerializer

    @describe(
        "List message templates to ask for", answers={200: MessageTemplateSerializer(many=True)}
    )
    @action(methods=["get"], detail=False, pagination_class=None)
    def templates(self, request: Request) -> Response:
        """Pass their ids to `wx.requestSubscribeMessage`, three at a time, on a tap."""
        asked = messages.templates_to_ask_for()
        return Response(MessageTemplateSerializer(asked, many=True).data)

    @describe(
        "Tell what the customer agreed to",
        request=ConsentsInput,
        answers={204: None},
        errors=[KeyMismatch],
        sends={"template_ids": ["paid-0123456789"]},
        parameters=[idempotency_key()],
    )
    @action(methods=["post"], detail=False)
    def consents(self, request: Request) -> Response:
        """Each agreement is good for one message. Send those answered with `accept`."""
        form = ConsentsInput(data=request.data)
        form.is_valid(raise_exception=True)
        identity = request.auth.identity  # type: ignore[union-attr]
        template_ids = form.validated_data["template_ids"]
        run_request_once(request, partial(messages.record_consents, identity, template_ids))
        return Response(status=status.HTTP_204_NO_CONTENT)
