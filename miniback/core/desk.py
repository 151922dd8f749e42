"""Buttons on the page of a record of fact: each asks what it needs, then calls a service."""

import inspect
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _

from miniback.core.errors import Conflict, DomainError
from miniback.core.transactions import OutcomeUnknown, atomic

# What staff gave as the reason of what they did.
TOLD = ("reason", "decision", "note", "staff_note")


class DeskAction(NamedTuple):
    """When a button shows, what it asks, and which service does it."""

    url: str
    title: Any
    form: type[forms.Form] | type[forms.ModelForm]
    service: Callable[..., Any]
    statuses: Collection[str]
    # Instead of the page's own.
    permission: str = ""


class OtherState(Conflict):
    """The page with the button was opened before somebody else went on."""

    detail = _("Nothing was done: it is in another state by now.")


@atomic
def _refuse_other_state(action: DeskAction, state: str) -> None:
    if state not in action.statuses:
        raise OtherState


class DeskMixin:
    """For a ModelAdmin of a model with ``status``, or with a `desk_state` of its own."""

    desk: Sequence[DeskAction] = ()
    desk_permission = ""
    change_form_template: ClassVar[Any] = "admin/desk/change_form.html"

    def get_urls(self: Any) -> list[URLPattern]:
        own = [
            path(
                f"<int:pk>/{action.url}/",
                self.admin_site.admin_view(partial(self.act, action)),
                name=self.desk_url_name(action),
            )
            for action in self.desk
        ]
        return [*own, *super().get_urls()]  # type: ignore[misc]

    def changelist_view(
        self: Any, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {**(extra_context or {}), "may_change": self.has_desk_permission(request)}
        return super().changelist_view(request, context)  # type: ignore[misc]

    def has_desk_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(self.desk_permission))

    def desk_state(self, row: Any) -> str:
        """By which the buttons are chosen."""
        return str(row.status)

    def desk_url_name(self: Any, action: DeskAction) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{action.url}"

    def page_context(self: Any, request: HttpRequest, row: Any) -> dict[str, Any]:
        shown: dict[str, Any] = super().page_context(request, row)  # type: ignore[misc]
        may_change = self.has_desk_permission(request)
        return {**shown, "buttons": self.buttons(request, row), "may_change": may_change}

    def buttons(self: Any, request: HttpRequest, row: Any) -> list[dict[str, Any]]:
        """What may be done with it now, by this member."""
        return [
            {
                "action": action,
                "url": reverse(f"admin:{self.desk_url_name(action)}", args=[row.pk]),
            }
            for action in self.desk
            if self.desk_state(row) in action.statuses and self.may_act(request, action)
        ]

    def may_act(self, request: HttpRequest, action: DeskAction) -> bool:
        if action.permission:
            return bool(request.user.has_perm(action.permission))
        return self.has_desk_permission(request)

    def done_text(self, outcome: Any) -> str:
        """What is said of what a service returned."""
        return str(_("Done."))

    def back_to(self: Any, request: HttpRequest, row: Any) -> str:
        """Where one is after an action."""
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        return str(reverse(name, args=[row.pk]))

    def act(self: Any, action: DeskAction, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask what an action needs, then do it through its service; a refusal says why."""
        if not self.may_act(request, action):
            raise PermissionDenied
        row = get_object_or_404(self.model, pk=pk)
        back = self.back_to(request, row)
        about: Any = {"instance": row} if issubclass(action.form, forms.ModelForm) else {}
        if "row" in inspect.signature(action.form.__init__).parameters:
            about["row"] = row
        form = action.form(request.POST if request.method == "POST" else None, **about)
        if request.method == "POST" and form.is_valid():
            given = (form.cleaned_data.get(name) for name in TOLD)
            told = ": ".join([str(action.title), *filter(None, given)])
            try:
                # A row of its own: a model form has already written on the other.
                untouched = self.model._default_manager.get(pk=pk)
                _refuse_other_state(action, self.desk_state(untouched))
                outcome = action.service(untouched, user=request.user, **form.cleaned_data)
            except DomainError as error:
                self.message_user(request, error.reason, messages.ERROR)
            except OutcomeUnknown:
                # It calls a platform, and commits by itself. Whoever repeats it may find it done.
                connection.close_if_unusable_or_obsolete()
                self.log_change(request, row, _("Nobody knows whether it was done: %s") % told)
                raise
            else:
                self.log_change(request, row, told)
                self.message_user(request, self.done_text(outcome), messages.SUCCESS)
            return HttpResponseRedirect(back)
        context = {
            **self.admin_site.each_context(request),
            "title": action.title,
            "subtitle": str(row),
            "row": row,
            "back": back,
            "form": form,
            "opts": self.opts,
        }
        return render(request, "admin/desk/ask.html", context)
