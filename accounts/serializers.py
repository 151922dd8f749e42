"""Shapes of people, sessions and addresses in JSON."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from accounts.models import Address, Identity, Platform, User


class LoginInput(serializers.Serializer):
    platform = serializers.ChoiceField(choices=Platform.choices)
    code = serializers.CharField(max_length=512, help_text="From `wx.login`; it works once.")


class RefreshInput(serializers.Serializer):
    refresh = serializers.CharField(max_length=2048)


class TokensSerializer(serializers.Serializer):
    access = serializers.CharField(help_text="For `Authorization: Bearer`; 30 minutes.")
    refresh = serializers.CharField(help_text="For `auth/refresh/`, once; 30 days.")


class UserSerializer(serializers.ModelSerializer):
    avatar_url = serializers.CharField(source="avatar.url", default="", read_only=True)
    phone = serializers.CharField(source="masked_phone", read_only=True)

    class Meta:
        model = User
        fields = ["id", "nickname", "avatar_url", "phone"]


class LoggedInSerializer(TokensSerializer):
    is_new_user = serializers.BooleanField()
    user = UserSerializer()


class IdentityInput(LoginInput):
    pass


class IdentitySerializer(serializers.ModelSerializer):
    class Meta:
        model = Identity
        fields = ["platform", "created_at"]


# What proves a phone number, by platform and age of the client.
WAYS = ({"code"}, {"encrypted_data", "iv"}, {"response", "sign"})


class PhoneInput(serializers.Serializer):
    """One of three ways; the session's platform decides which."""

    code = serializers.CharField(max_length=512, required=False)
    encrypted_data = serializers.CharField(max_length=4096, required=False)
    iv = serializers.CharField(max_length=64, required=False)
    response = serializers.CharField(max_length=4096, required=False)
    sign = serializers.CharField(max_length=1024, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if set(attrs) not in WAYS:
            raise serializers.ValidationError(
                _("Send code, or encrypted_data and iv, or response and sign.")
            )
        return attrs


class ProfileInput(serializers.Serializer):
    nickname = serializers.CharField(max_length=32, allow_blank=True)
    avatar = serializers.CharField(
        max_length=22, allow_null=True, default=None, help_text="Id of an upload, or null."
    )


class AddressSerializer(serializers.ModelSerializer):
    phone = serializers.RegexField(r"^\+?[0-9][0-9 -]{4,18}[0-9]$", max_length=20)
    detail = serializers.CharField(max_length=200)
    region_code = serializers.RegexField(
        r"^[0-9]{6}$", required=False, allow_blank=True, default="", help_text="Six digits."
    )
    district = serializers.CharField(max_length=50, required=False, allow_blank=True, default="")
    is_default = serializers.BooleanField(default=False)

    class Meta:
        model = Address
        fields = [
            "id",
            "recipient",
            "phone",
            "province",
            "city",
            "district",
            "detail",
            "region_code",
            "is_default",
        ]
