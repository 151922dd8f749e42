"""run_once: a request that is sent twice is carried out once."""

import functools
from typing import Any

import pytest

from accounts.models import User
from catalog.models import Brand
from miniback.core.errors import Conflict, InvalidFields, KeyMismatch
from miniback.core.idempotency import Outcome, run_once
from miniback.core.models import IdempotencyKey
from tests.factories import make_customer
from tests.threads import together

KEY = "key-00000001"


def make_brand(user: User, *, name: str = "山见", key: str = KEY) -> Outcome[Any]:
    def act() -> Brand:
        return Brand.objects.create(name=f"{name} {Brand.objects.count()}")

    return run_once(user=user, key=key, body={"name": name}, act=act)


@pytest.mark.django_db
def test_a_repeat_returns_what_was_made(customer: User) -> None:
    first, again = make_brand(customer), make_brand(customer)

    assert (first.is_replay, again.is_replay) == (False, True)
    assert again.made == first.made
    assert Brand.objects.count() == 1


@pytest.mark.django_db
def test_another_body_is_a_mismatch(customer: User) -> None:
    """C7."""
    make_brand(customer)
    with pytest.raises(KeyMismatch):
        make_brand(customer, name="云岭")
    assert Brand.objects.count() == 1


@pytest.mark.django_db
def test_keys_belong_to_one_user(customer: User, stranger: User) -> None:
    make_brand(customer)
    assert not make_brand(stranger).is_replay


@pytest.mark.django_db
def test_a_refusal_leaves_the_key_free(customer: User) -> None:
    def refuse() -> Brand:
        Brand.objects.create(name="half")
        raise Conflict

    with pytest.raises(Conflict):
        run_once(user=customer, key=KEY, body={"name": "山见"}, act=refuse)

    assert not Brand.objects.exists()
    assert not make_brand(customer).is_replay


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["", "short", "k" * 65, "钥匙钥匙钥匙钥匙", "tab\tinside"])
def test_bad_keys_are_refused(customer: User, key: str) -> None:
    with pytest.raises(InvalidFields):
        make_brand(customer, key=key)
    assert not IdempotencyKey.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_parallel_doubles_make_one() -> None:
    """C5: those that come second wait, and get what the first made."""
    customer = make_customer()
    outcomes = together([lambda: make_brand(customer)] * 6)

    assert len(outcomes) == 6
    assert sum(not outcome.is_replay for outcome in outcomes) == 1
    assert Brand.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_doubles_of_a_refused_request_are_all_refused() -> None:
    """On MariaDB parallel doubles whose first transaction rolls back deadlock; the retry hides it."""
    customer = make_customer()

    def refuse() -> Brand:
        raise Conflict

    act = functools.partial(run_once, user=customer, key=KEY, body={}, act=refuse)
    refusals = together([act] * 6)

    assert [error.code for error in refusals] == ["conflict"] * 6
    assert not IdempotencyKey.objects.exists()
