from typing import Any

import pytest

from accounts.models import Address, User
from miniback.core.models import Upload
from tests.conftest import Api
from tests.factories import ADDRESS, make_address

pytestmark = pytest.mark.django_db


def test_a_profile_is_changed_whole(api: Api, customer: User) -> None:
    answer = api.put("me/", {"nickname": "小明", "avatar": None})

    assert answer.json() == {"id": customer.pk, "nickname": "小明", "avatar_url": "", "phone": ""}
    assert api.put("me/", {"avatar": None}).status_code == 400


def test_an_avatar_is_an_upload_of_ones_own(api: Api, customer: User, stranger: User) -> None:
    def upload(user: User, purpose: str = "avatar") -> str:
        row = Upload.objects.create(user=user, purpose=purpose, file="a.jpg", width=1, height=1)
        return row.pk

    mine = api.put("me/", {"nickname": "", "avatar": upload(customer)})
    assert mine.json()["avatar_url"].endswith("/media/a.jpg")
    for wrong in [upload(stranger), upload(customer, "review"), "nothing"]:
        assert api.put("me/", {"nickname": "x", "avatar": wrong}).status_code == 404
    assert User.objects.get(pk=customer.pk).nickname == ""


def test_what_a_profile_does_not_list_cannot_be_written(api: Api, customer: User) -> None:
    """A5."""
    more = {"is_staff": True, "is_superuser": True, "username": "admin", "phone": "1", "id": 9}
    api.put("me/", {"nickname": "x", "avatar": None, **more})
    user = User.objects.get(pk=customer.pk)
    assert (user.is_staff, user.is_superuser, user.username, user.phone) == (False, False, None, "")


def test_the_phone_is_masked(api: Api, customer: User) -> None:
    customer.phone = "13812345678"
    customer.save()
    assert api.get("me/").json()["phone"] == "138****5678"


# Addresses


def test_the_first_address_is_the_default_and_there_is_one(api: Api) -> None:
    first = api.post("addresses/", {**ADDRESS, "is_default": False}).json()
    assert first["is_default"] is True
    second = api.post("addresses/", ADDRESS).json()

    rows = api.get("addresses/").json()["results"]
    assert [(row["id"], row["is_default"]) for row in rows] == [
        (second["id"], True), (first["id"], False),
    ]  # fmt: skip
    assert api.delete(f"addresses/{second['id']}/").status_code == 204
    assert api.get(f"addresses/{first['id']}/").json()["is_default"] is True


@pytest.mark.parametrize(
    "change",
    [
        {"phone": "abc"}, {"phone": "1"}, {"recipient": ""}, {"region_code": "12"},
        {"detail": "x" * 201}, {"province": None}, {"is_default": "perhaps"},
    ],
)  # fmt: skip
def test_addresses_that_are_none(api: Api, change: dict[str, Any]) -> None:
    answer = api.post("addresses/", {**ADDRESS, **change})
    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == list(change)
    assert not Address.objects.exists()


def test_there_is_an_end_of_addresses(api: Api, customer: User, monkeypatch: Any) -> None:
    monkeypatch.setattr("accounts.services.profile.MAX_ADDRESSES", 2)
    make_address(customer)
    make_address(customer)
    assert api.post("addresses/", ADDRESS).json()["code"] == "too_many_addresses"


def test_queries_of_the_address_list(
    api: Api, customer: User, django_assert_num_queries: Any
) -> None:
    for count in (1, 49):
        for _ in range(count):
            make_address(customer)
        with django_assert_num_queries(2):
            api.get("addresses/?limit=50")
