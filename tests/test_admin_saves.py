"""A page of the back office saves what its form asks for: services change the rest meanwhile."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import models
from django.db.models.signals import pre_save
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from accounts.models import Customer, Staff, User
from catalog.models import (
    Banner,
    Brand,
    Category,
    FreightRule,
    FreightTemplate,
    HomeRow,
    HomeRowProduct,
    HotKeyword,
    Product,
    ProductOption,
    Review,
)
from orders.models import Carrier, ClaimedCoupon, Coupon, MessageKind, MessageTemplate
from orders.services.coupons import claim_coupon
from tests.factories import (
    make_category,
    make_coupon,
    make_customer,
    make_product,
    make_sku,
    make_staff,
)
from tests.forms import page_as_opened, sent
from tests.threads import together

serial = itertools.count()


def some_product() -> Product:
    sku = make_sku(stock=7)
    ProductOption.objects.create(product=sku.product, name="规格", values=["100克"], position=1)
    return sku.product


def some_home_row() -> HomeRow:
    row = HomeRow.objects.create(title="新品", rule="picked", position=1)
    HomeRowProduct.objects.create(row=row, product=make_product(), position=1)
    return row


def some_freight() -> FreightTemplate:
    template = FreightTemplate.objects.create(name="快递")
    FreightRule.objects.create(template=template, regions=[], first_fen=1000)
    return template


def some_review() -> Review:
    sku = make_sku()
    return Review.objects.create(
        product=sku.product, sku=sku, user=make_customer(), reference="O1:1", rating=3,
        created_at=timezone.now(), text="好",
    )  # fmt: skip


def some_template() -> MessageTemplate:
    template, _made = MessageTemplate.objects.get_or_create(
        kind=MessageKind.PAID,
        defaults={"template_id": "paid-0123456789", "fields": {"thing1": "goods"}},
    )
    return template


MAKE: dict[type[models.Model], Callable[[], models.Model]] = {
    Banner: lambda: Banner.objects.create(picture="pictures/x/1.jpg", title="春茶"),
    Brand: lambda: Brand.objects.create(name="山见"),
    Carrier: lambda: Carrier.objects.get_or_create(code="SF", defaults={"name": "顺丰"})[0],
    Category: lambda: make_category(),
    Coupon: lambda: make_coupon(quota=None, per_customer=9),
    Customer: lambda: Customer.objects.get(pk=make_customer().pk),
    FreightTemplate: some_freight,
    Group: lambda: Group.objects.create(name="仓库"),
    HomeRow: some_home_row,
    HotKeyword: lambda: HotKeyword.objects.create(keyword="绿茶", position=1),
    MessageTemplate: some_template,
    Product: some_product,
    Review: some_review,
    Staff: lambda: make_staff(username="warehouse"),
}


def with_a_form() -> list[type[models.Model]]:
    request = RequestFactory().get("/")
    request.user = Staff(is_staff=True, is_superuser=True, is_active=True)
    registry = admin.site._registry
    return [model for model, page in registry.items() if page.has_change_permission(request)]


def another(field: Any, value: Any) -> Any:
    """A value that the column may have and has not; the same where there is none."""
    if field.remote_field:
        others = field.related_model._default_manager.exclude(pk=value).values_list("pk", flat=True)
        return others.first() or (None if field.null else value)
    if field.choices:
        return next((key for key, _name in field.flatchoices if key != value), value)
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case datetime() | date():
            return value + timedelta(days=1)
        case str():
            return f"{value[: (field.max_length or 99) - 1]}x"
        case list():
            return [*value, "x"]
        case dict():
            return {**value, "x": "y"}
    return {"IntegerField": 5, "DateTimeField": timezone.now()}.get(
        field.get_internal_type(), value
    )


@contextmanager
def changed_meanwhile(asked: dict[type, set[str]]) -> Iterator[dict[tuple[Any, Any, str], Any]]:
    """Change every column that a page does not ask for, between its reading of a row and saving it."""
    written: dict[tuple[Any, Any, str], Any] = {}

    def change(sender: Any, instance: Any, **_more: Any) -> None:
        if instance._state.adding or sender not in asked or (sender, instance.pk) in seen:
            return
        seen.add((sender, instance.pk))
        for field in sender._meta.concrete_fields:
            if field.primary_key or field.name in asked[sender] or getattr(field, "auto_now", 0):
                continue
            value = another(field, getattr(instance, field.attname))
            if value == getattr(instance, field.attname):
                continue
            sender._base_manager.filter(pk=instance.pk).update(**{field.attname: value})
            written[sender, instance.pk, field.attname] = value

    seen: set[tuple[Any, Any]] = set()
    pre_save.connect(change)
    try:
        yield written
    finally:
        pre_save.disconnect(change)


# What a page derives by a service of its own, because of what was saved.
DERIVED = {
    Product: {"price_fen", "market_price_fen", "in_stock"},
    Review: {"replied_at"},
}


@pytest.mark.django_db
@pytest.mark.parametrize("model", with_a_form(), ids=lambda model: model.__name__)
def test_a_page_saves_only_what_its_form_asks_for(client: Client, model: Any) -> None:
    client.force_login(make_staff(username="owner"))
    row = MAKE[model]()
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[row.pk])
    data, asked = page_as_opened(client, url)
    if model is Review:
        data["reply"] = "谢谢"

    with changed_meanwhile(asked) as written:
        answer = client.post(url, data)

    assert answer.status_code == 302, answer.context and answer.context["errors"]
    for (changed, pk, column), value in written.items():
        if column not in DERIVED.get(changed, ()):
            now = changed._base_manager.values_list(column, flat=True).get(pk=pk)
            assert now == value, f"{changed.__name__}.{column}"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "model",
    [model for model in with_a_form() if admin.site._registry[model].list_editable],
    ids=lambda model: model.__name__,
)
def test_a_list_saves_only_what_its_forms_ask_for(client: Client, model: Any) -> None:
    client.force_login(make_staff(username="owner"))
    MAKE[model]()
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    formset = client.get(url).context["cl"].formset
    data = dict(sent(formset.management_form))
    for inner in formset.forms:
        data |= dict(sent(inner))
    editable = admin.site._registry[model].list_editable
    flag = next(
        name
        for name in editable
        if model._meta.get_field(name).get_internal_type() == "BooleanField"
    )
    key = f"form-0-{flag}"
    data = {name: value for name, value in data.items() if name != key} | (
        {} if key in data else {key: "on"}
    )

    with changed_meanwhile({model: {*editable}}) as written:
        answer = client.post(url, {**data, "_save": "Save"})

    assert answer.status_code == 302
    assert written
    for (changed, pk, column), value in written.items():
        assert changed._base_manager.values_list(column, flat=True).get(pk=pk) == value, column


@pytest.mark.django_db
def test_a_new_password_is_all_that_is_written(client: Client) -> None:
    client.force_login(make_staff(username="owner"))
    clerk = make_staff(username="clerk")
    url = reverse("admin:auth_user_password_change", args=[clerk.pk])
    given = {"password1": "correct horse 9", "password2": "correct horse 9"}

    with changed_meanwhile({Staff: {"password"}}) as written:
        assert client.post(url, {**given, "set-password": "1"}).status_code == 302

    clerk.refresh_from_db()
    assert clerk.check_password("correct horse 9")
    for (_model, _pk, column), value in written.items():
        assert getattr(clerk, column) == value, column


@pytest.mark.django_db
def test_ones_own_new_password_is_all_that_is_written(client: Client) -> None:
    clerk = make_staff(username="clerk")
    clerk.set_password("old horse 1")
    clerk.save(update_fields=["password"])
    client.force_login(clerk)
    given = {"new_password1": "correct horse 9", "new_password2": "correct horse 9"}

    # What the view saves is a row of the user's own model, of which staff are a proxy.
    with changed_meanwhile({User: {"password", "is_superuser"}}) as written:
        url = reverse("admin:password_change")
        answer = client.post(url, {"old_password": "old horse 1", **given})

    assert answer.status_code == 302
    assert written
    clerk.refresh_from_db()
    assert clerk.check_password("correct horse 9")
    for (_model, _pk, column), value in written.items():
        assert getattr(clerk, column) == value, column


@pytest.mark.django_db(transaction=True)
def test_claims_are_counted_while_the_coupon_is_saved() -> None:
    coupon = make_coupon(quota=100)
    client = Client()
    client.force_login(make_staff(username="owner"))
    url = reverse("admin:orders_coupon_change", args=[coupon.pk])
    customers = [make_customer() for _n in range(8)]

    def save(place: int) -> int:
        data, _asked = page_as_opened(client, url)
        return client.post(url, {**data, "quota": str(100 + place)}).status_code

    def saves() -> list[int]:
        return [save(place) for place in range(6)]

    outcomes = together(
        [saves, *[lambda who=who: claim_coupon(who, coupon.pk) for who in customers]]
    )

    assert [302] * 6 in outcomes
    coupon.refresh_from_db()
    assert coupon.claimed_count == ClaimedCoupon.objects.count() == 8
