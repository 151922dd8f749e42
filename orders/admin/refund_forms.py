"""What staff are asked for when they decide on a refund."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from miniback.core.fields import YuanFormField
from orders.models import Order, OrderLine, Refund
from orders.services.refund_approvals import open_approval
from orders.status import RefundKind, RefundStep


class ApproveForm(forms.Form):
    amount_fen = YuanFormField(label=_("amount to refund"), required=False)
    decision = forms.CharField(label=_("answer to the customer"), max_length=200, required=False)


class ApproveManyForm(forms.Form):
    decision = forms.CharField(label=_("answer to the customers"), max_length=200, required=False)


class RejectForm(forms.Form):
    decision = forms.CharField(label=_("reason, shown to the customer"), max_length=200)


class ReceiveForm(forms.Form):
    is_restocked = forms.BooleanField(
        label=_("put back on the shelf"), required=False, help_text=_("No: written off.")
    )


class ReapplyForm(forms.Form):
    """The platform is asked first, so that nothing is paid back twice."""

    reason = forms.CharField(
        label=_("reason for the platform"), max_length=80, required=False,
        help_text=_("Only if the platform refused the customer's own words."),
    )  # fmt: skip


class TwoPeopleForm(forms.Form):
    """Shows the second member of staff what the first one proposed."""

    step: RefundStep
    field: str

    def __init__(self, *args: Any, row: Refund, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        pending = open_approval(row)
        if pending and pending.step == self.step:
            told = _("Proposed by %(name)s. Confirm it as it is, or propose something else.")
            self.fields[self.field].initial = pending.note
            self.fields[self.field].help_text = told % {"name": pending.proposed_by}


class PayOutForm(TwoPeopleForm):
    step, field = RefundStep.PAY_OUT, "reference"
    reference = forms.CharField(
        label=_("how it was paid out"), max_length=100,
        help_text=_("Such as the bank's number of the transfer. First pay, then write it here."),
    )  # fmt: skip


class WriteOffForm(TwoPeopleForm):
    step, field = RefundStep.WRITE_OFF, "note"
    note = forms.CharField(
        label=_("why it is not paid"), max_length=200,
        help_text=_("Such as: the customer renounced it in writing."),
    )  # fmt: skip


class RedirectForm(forms.Form):
    """An empty card number sends the money to the shop's own account."""

    bank_type = forms.RegexField(
        label=_("bank"), regex=r"^[A-Z]{2,16}_(DEBIT|CREDIT)$", required=False,
        help_text=_("WeChat Pay's code of the customer's bank, such as ICBC_DEBIT"),
    )  # fmt: skip
    account = forms.RegexField(
        label=_("card number"), regex=r"^[0-9]{12,22}$", required=False,
        help_text=_("Empty: the money goes to the shop's account, and you pay the customer yourself."),
    )  # fmt: skip
    holder = forms.CharField(label=_("card holder"), max_length=50, required=False)

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        filled = [bool(given.get(name)) for name in ("bank_type", "account", "holder")]
        if any(filled) and not all(filled):
            raise forms.ValidationError(_("A card needs bank, number and holder."))
        return given


class RefundOrderForm(forms.Form):
    """How many pieces of each line, how much freight, and whether the goods come back."""

    kind = forms.ChoiceField(
        label=_("goods"),
        choices=[
            (RefundKind.REFUND_ONLY, _("stay with the customer, or were not shipped")),
            (RefundKind.RETURN, _("come back first")),
        ],
    )
    is_shipped = forms.TypedChoiceField(
        label=_("pieces"), required=False, empty_value=None, coerce=lambda value: value == "1",
        choices=[("", _("not shipped, as far as they last")), ("0", _("not shipped")), ("1", _("shipped"))],
        help_text=_("Of a partly shipped order: which are meant."),
    )  # fmt: skip
    freight_fen = YuanFormField(
        label=_("freight"), required=False,
        help_text=_("Empty: by the rule, with the last pieces of an order of which nothing was shipped."),
    )  # fmt: skip
    amount_fen = YuanFormField(
        label=_("amount"), required=False, help_text=_("Empty: what was paid for the pieces, and freight."),
    )  # fmt: skip
    reason = forms.CharField(label=_("reason"), max_length=80)

    def __init__(self, *args: Any, row: Order, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lines = [
            line for line in row.lines.order_by("id") if line.refunded_quantity < line.quantity
        ]
        fields = {f"line_{line.pk}": _pieces_field(line) for line in self.lines}
        self.fields = {**fields, **self.fields}

    def clean(self) -> dict[str, Any]:
        """Adds ``quantities``: line id -> pieces."""
        given = super().clean() or {}
        counts = {line.pk: given.pop(f"line_{line.pk}", None) for line in self.lines}
        quantities = {line_id: count for line_id, count in counts.items() if count}
        kind = RefundKind(given["kind"]) if "kind" in given else None
        return {**given, "kind": kind, "quantities": quantities}


def _pieces_field(line: OrderLine) -> forms.IntegerField:
    return forms.IntegerField(
        label=f"{line.name} {line.options_text} ({line.sku_code})",
        initial=0,
        required=False,
        min_value=0,
        max_value=line.quantity - line.refunded_quantity,
    )
