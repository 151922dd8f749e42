"""Login, sessions, `me/`, addresses."""

from functools import partial
from typing import Any

from django.db.models import QuerySet
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts.models import Address
from accounts.serializers import (
    AddressSerializer,
    IdentityInput,
    IdentitySerializer,
    LoggedInSerializer,
    LoginInput,
    PhoneInput,
    ProfileInput,
    RefreshInput,
    TokensSerializer,
    UserSerializer,
)
from accounts.services import identities, profile, sessions
from miniback.core.errors import KeyMismatch, NotFound, PlatformUnavailable
from miniback.core.idempotency import run_request_once
from miniback.core.schema import describe, idempotency_key, path_id

ADDRESS = {
    "recipient": "李明",
    "phone": "13812345678",
    "province": "浙江省",
    "city": "杭州市",
    "district": "西湖区",
    "detail": "文三路 100 号",
    "region_code": "330106",
    "is_default": True,
}


class AuthViewSet(GenericViewSet):
    """Sessions of a device."""

    serializer_class = LoginInput

    @describe(
        "Log in",
        request=LoginInput,
        answers={200: LoggedInSerializer},
        errors=[
            identities.LoginCodeInvalid,
            identities.LoginBlocked,
            sessions.UserBlocked,
            PlatformUnavailable,
        ],
        sends={"platform": "wechat", "code": "0a1Bx0000Yz"},
        gives={
            "access": "eyJhbGciOi...",
            "refresh": "eyJhbGciOi...",
            "is_new_user": True,
            "user": {"id": 7, "nickname": "", "avatar_url": "", "phone": ""},
        },
        public=True,
    )
    @action(
        methods=["post"], detail=False, authentication_classes=[], permission_classes=[AllowAny]
    )
    def login(self, request: Request) -> Response:
        """Send the code of `wx.login`. The first login makes the customer."""
        form = LoginInput(data=request.data)
        form.is_valid(raise_exception=True)
        device = request.headers.get("User-Agent", "")
        logged_in = sessions.log_in(**form.validated_data, device=device)
        return Response(LoggedInSerializer(logged_in).data)

    @describe(
        "Refresh the tokens",
        request=RefreshInput,
        answers={200: TokensSerializer},
        errors=[sessions.RefreshInvalid, sessions.RefreshSuperseded],
        sends={"refresh": "eyJhbGciOi..."},
        gives={"access": "eyJhbGciOi...", "refresh": "eyJhbGciOi..."},
        public=True,
    )
    @action(
        methods=["post"], detail=False, authentication_classes=[], permission_classes=[AllowAny]
    )
    def refresh(self, request: Request) -> Response:
        """Each refresh token works once.

        Of parallel requests one gets 200 and the others 409; using an old one later than a minute
        ends the session.
        """
        form = RefreshInput(data=request.data)
        form.is_valid(raise_exception=True)
        access, refresh = sessions.refresh_session(form.validated_data["refresh"])
        return Response({"access": access, "refresh": refresh})

    @describe("Log out", answers={204: None})
    @action(methods=["post"], detail=False)
    def logout(self, request: Request) -> Response:
        """End this device's session; its tokens stop working at once."""
        sessions.end_session(request.auth)  # type: ignore[arg-type]
        return Response(status=status.HTTP_204_NO_CONTENT)


class MeViewSet(GenericViewSet):
    serializer_class = UserSerializer

    @describe("Read my profile", answers={200: UserSerializer})
    def retrieve(self, request: Request) -> Response:
        """The phone is masked."""
        return Response(UserSerializer(request.user).data)

    @describe(
        "Change my profile",
        request=ProfileInput,
        answers={200: UserSerializer},
        errors=[NotFound, profile.ContentRefused, PlatformUnavailable],
        sends={"nickname": "小明", "avatar": None},
    )
    def update(self, request: Request) -> Response:
        """Send both fields. `avatar` is the id of an upload of yours with the purpose `avatar`."""
        form = ProfileInput(data=request.data)
        form.is_valid(raise_exception=True)
        nickname = form.validated_data["nickname"]
        profile.check_nickname(request.user, request.auth.identity, nickname)  # type: ignore[arg-type, union-attr]
        user = profile.change_profile(request.user, **form.validated_data)  # type: ignore[arg-type]
        return Response(UserSerializer(user).data)

    @describe(
        "Bind my phone",
        request=PhoneInput,
        answers={200: UserSerializer},
        errors=[identities.PhoneCodeInvalid, PlatformUnavailable],
        sends={"code": "e31968a7f94cc5ee25fafc2aef2773f0bb8c3937b22520eb8ee345274d00c144"},
    )
    @action(methods=["put"], detail=False)
    def phone(self, request: Request) -> Response:
        """Send what the phone button gave.

        WeChat's `getPhoneNumber`: `code`, or the older `encrypted_data` and `iv`. Alipay's
        `my.getPhoneNumber`: `response` and `sign`.
        """
        form = PhoneInput(data=request.data)
        form.is_valid(raise_exception=True)
        identity = request.auth.identity  # type: ignore[union-attr]
        user = identities.bind_phone(request.user, identity, **form.validated_data)  # type: ignore[arg-type]
        return Response(UserSerializer(user).data)

    @describe(
        "Link another platform",
        request=IdentityInput,
        answers={200: IdentitySerializer},
        errors=[
            identities.LoginCodeInvalid,
            identities.LoginBlocked,
            identities.IdentityTaken,
            PlatformUnavailable,
        ],
        sends={"platform": "alipay", "code": "0a1Bx0000Yz"},
    )
    @action(methods=["post"], detail=False, url_path="identities")
    def link(self, request: Request) -> Response:
        """Send a login code of the other platform; from then on both lead to this customer.

        An account that is another customer's already is refused: orders never change hands.
        """
        form = IdentityInput(data=request.data)
        form.is_valid(raise_exception=True)
        identity = identities.link_identity(request.user, **form.validated_data)  # type: ignore[arg-type]
        return Response(IdentitySerializer(identity).data)


class AddressViewSet(ListModelMixin, RetrieveModelMixin, GenericViewSet):
    serializer_class = AddressSerializer
    queryset = Address.objects.none()
    lookup_value_regex = r"[0-9]{1,18}"

    def get_queryset(self) -> QuerySet[Address]:
        return Address.objects.for_customer(self.request.user)

    @describe("List my addresses", answers={200: AddressSerializer(many=True)})
    def list(self, request: Request) -> Response:
        """Newest first."""
        return super().list(request)

    @describe(
        "Read an address",
        answers={200: AddressSerializer},
        errors=[NotFound],
        parameters=[path_id()],
    )
    def retrieve(self, request: Request, pk: str) -> Response:
        """One address of yours."""
        return super().retrieve(request, pk)

    @describe(
        "Add an address",
        request=AddressSerializer,
        answers={201: AddressSerializer},
        errors=[profile.TooManyAddresses, NotFound, KeyMismatch],
        sends=ADDRESS,
        parameters=[idempotency_key()],
    )
    def create(self, request: Request) -> Response:
        """The first becomes the default.

        A repeat with the same `Idempotency-Key` gives the address as it is now; 404 if it was deleted.
        """
        add = partial(profile.save_address, request.user, None, **_columns(request))  # type: ignore[arg-type]
        address = run_request_once(request, add).made
        return Response(AddressSerializer(address).data, status=status.HTTP_201_CREATED)

    @describe(
        "Change an address",
        request=AddressSerializer,
        answers={200: AddressSerializer},
        errors=[NotFound],
        sends=ADDRESS,
        parameters=[path_id()],
    )
    def update(self, request: Request, pk: str) -> Response:
        """Send the whole address. Orders that were placed keep the old one."""
        address = self.get_object()
        saved = profile.save_address(request.user, address, **_columns(request))  # type: ignore[arg-type]
        return Response(AddressSerializer(saved).data)

    @describe("Delete an address", answers={204: None}, errors=[NotFound], parameters=[path_id()])
    def destroy(self, request: Request, pk: str) -> Response:
        """Orders that were placed keep it."""
        profile.delete_address(self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)


def _columns(request: Request) -> dict[str, Any]:
    """The address that was sent."""
    form = AddressSerializer(data=request.data)
    form.is_valid(raise_exception=True)
    return dict(form.validated_data)
