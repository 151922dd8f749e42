"""Shapes of people, sessions and addresses in JSON."""

from rest_framework import serializers

from accounts.models import Address, Platform, User


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
