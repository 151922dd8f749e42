"""Where an order goes, and what carrying it costs by the templates of its products."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext_lazy as _

from accounts.models import Address, phone_hashes
from catalog.models import FreightRule
from miniback.core.errors import Conflict, NotFound
from miniback.core.queries import CompiledQuery
from orders import freight
from orders.services.lines import PricedLine


class NotDelivered(Conflict):
    code = "not_delivered"
    detail = _("This article is not delivered there.")


# Of every order.
OWN = CompiledQuery(
    lambda user, pk: Address.objects.for_customer(user).filter(pk=pk),
    [Address._meta.get_field("user"), Address._meta.pk],
)


def own_address(user: Any, address_id: int) -> Address:
    """Raises NotFound, also for somebody else's."""
    address = OWN.first(user.pk, address_id)
    if address is None:
        raise NotFound(_("There is no such address."))
    return address


def address_columns(address: Address) -> dict[str, str]:
    """The copy of an address that an order keeps."""
    copied = ["recipient", "phone", "province", "city", "district", "detail", "region_code"]
    return {name: getattr(address, name) for name in copied} | phone_hashes(address.phone)


def place_of(address: Address) -> freight.Place:
    return freight.Place(address.province, address.city, address.region_code)


def loads_of(lines: Sequence[PricedLine]) -> dict[int, freight.Load]:
    """What each freight template of these lines has to carry, from one query if there is any."""
    by_template: dict[int, list[PricedLine]] = {}
    for line in lines:
        if line.sku.product.freight_template_id is not None:
            by_template.setdefault(line.sku.product.freight_template_id, []).append(line)
    if not by_template:
        return {}
    rules = FreightRule.objects.filter(template__in=by_template).select_related("template")
    grouped: dict[int, list[FreightRule]] = {template_id: [] for template_id in by_template}
    for rule in rules.order_by("id"):
        grouped[rule.template_id].append(rule)
    return {
        template_id: freight.Load(
            unit=grouped[template_id][0].template.unit if grouped[template_id] else freight.FIXED,
            rules=[_rule(rule) for rule in grouped[template_id]],
            pieces=sum(line.quantity for line in carried),
            weight_g=sum(line.quantity * line.sku.weight_g for line in carried),
            goods_fen=sum(line.total_fen for line in carried),
        )
        for template_id, carried in by_template.items()
    }


def _rule(rule: FreightRule) -> freight.Rule:
    return freight.Rule(**{name: getattr(rule, name) for name in freight.Rule._fields})


def not_delivered(
    loads: Mapping[int, freight.Load], lines: Sequence[PricedLine], place: freight.Place | None
) -> set[int]:
    """SKUs whose template does not deliver to the place."""
    refused = {key for key, load in loads.items() if freight.freight_of(load, place) is None}
    return {line.sku.pk for line in lines if line.sku.product.freight_template_id in refused}
