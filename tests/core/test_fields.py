from base64 import urlsafe_b64encode
from typing import Any

import pytest
from django.core.exceptions import FieldError, ValidationError
from django.db import connection

from accounts.models import Address, Identity, Platform, User
from miniback.core.crypto import decrypt, encrypt, keyed_hash
from miniback.core.fields import YuanFormField
from tests.factories import make_address, make_customer

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("twin", ["oabc", "oAbC ", "oAbC\t", "OABC"])
def test_openids_that_look_alike_are_two_people(twin: str) -> None:
    """C20: letter case and trailing space count, on every database."""
    first = make_customer(openid="oAbC")
    second = make_customer(openid=twin)

    assert first.pk != second.pk
    assert Identity.objects.get(openid="oAbC").user_id == first.pk
    assert Identity.objects.get(openid=twin).user_id == second.pk


def test_the_same_openid_is_the_same_person() -> None:
    assert make_customer(openid="oAbC").pk == make_customer(openid="oAbC").pk
    assert Identity.objects.filter(platform=Platform.WECHAT).count() == 1


def test_encrypted_text_is_not_in_the_database(customer: User) -> None:
    address = make_address(customer, phone="13812345678", detail="文三路 😀")
    with connection.cursor() as cursor:
        cursor.execute("SELECT phone, detail FROM accounts_address")
        phone, detail = cursor.fetchone()

    assert "13812345678" not in phone
    assert "文三路" not in detail
    read = Address.objects.get(pk=address.pk)
    assert (read.phone, read.detail) == ("13812345678", "文三路 😀")


def test_encrypted_text_is_found_by_its_hashes_only(customer: User) -> None:
    make_address(customer, phone="13812345678")

    assert Address.objects.filter(phone_hash=keyed_hash("13812345678", purpose="phone")).exists()
    assert Address.objects.filter(phone_tail_hash=keyed_hash("5678", purpose="phone tail")).exists()
    assert not Address.objects.filter(phone_hash=keyed_hash("5678", purpose="phone tail")).exists()
    with pytest.raises(FieldError):
        Address.objects.filter(phone="13812345678").exists()


def test_a_new_key_encrypts_and_the_old_one_still_reads(settings: Any) -> None:
    old = encrypt("secret")
    old_key = settings.FIELD_ENCRYPTION_KEYS[0]
    settings.FIELD_ENCRYPTION_KEYS = [urlsafe_b64encode(b"n" * 32).decode(), old_key]

    assert decrypt(old) == "secret"
    new = encrypt("secret")
    settings.FIELD_ENCRYPTION_KEYS = settings.FIELD_ENCRYPTION_KEYS[:1]
    assert decrypt(new) == "secret"


def test_staff_type_yuan_and_the_form_gives_fen() -> None:
    field = YuanFormField()

    assert field.clean("19.9") == 1990
    assert field.prepare_value(1990) == "19.90"
    assert not field.has_changed(1990, "19.90")
    for wrong in ["-1", "1.234", "x", "999999999999"]:
        with pytest.raises(ValidationError):
            field.clean(wrong)
