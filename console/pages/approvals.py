from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST
from flyteidl.core import types_pb2

from artifacts.exceptions import InvalidArgument
from console.access_objects import access_execution, access_gate
from console.accounts.access import Action
from console.pages.approvals_context import decided_gates, gate_context, waiting_rows
from console.pages.approvals_evidence import evidence_context
from console.pages.responses import PageRequest, attempt, page, respond
from console.pages.typed_values import ANY, Typed, form_text, read_control, read_typed
from scheduler.actions import gates


@require_GET
@page
def list_approvals(request: PageRequest) -> HttpResponse:
    context = {"waiting": waiting_rows(request), "decided": decided_gates(request)}
    return respond(request, "approvals/list.html", "approvals/_lists.html", context, live=True)


@require_GET
@page
def show_approval(request: PageRequest, gate_id: int) -> HttpResponse:
    gate = access_gate(request.user, gate_id)
    context = gate_context(request, gate)
    return render(request, "approvals/detail.html", context | evidence_context(request, gate, context["subject"]))


@require_POST
@page
def open_early(request: PageRequest, project: str, domain: str, name: str, signal_id: str) -> HttpResponse:
    """To the page on which a signal can be decided before its node is reached."""
    execution = access_execution(request.user, project, domain, name, action=Action.LAUNCH)
    return redirect("approval", gate_id=gates.open_early(execution, signal_id).pk)


@require_POST
@page
def decide(request: PageRequest, gate_id: int) -> HttpResponse:
    gate = access_gate(request.user, gate_id, action=Action.DECIDE)
    approve = request.POST.get("decision") == "approve"
    comment = form_text(request.POST, "comment")
    actor = request.user.username

    def act() -> None:
        if request.POST.get("decision") not in ("approve", "reject"):
            raise InvalidArgument("choose Approve or Reject")
        if not approve and not comment:
            raise InvalidArgument("say why it is rejected: whoever asked has nothing else to go by")
        gates.decide(gate, approve=approve, actor=actor, comment=comment)

    done = "Approved. The execution goes on." if approve else "Rejected. The execution stops here."
    attempt(request, act, done)
    return redirect("approval", gate_id=gate.pk)


@require_POST
@page
def give_signal(request: PageRequest, gate_id: int) -> HttpResponse:
    gate = access_gate(request.user, gate_id, action=Action.LAUNCH)
    if gates.takes_approval(gate):
        access_gate(request.user, gate_id, action=Action.DECIDE)
    typed = read_control(request.POST, "value") or Typed("", ANY)
    comment = form_text(request.POST, "comment")

    def act() -> None:
        literal_type = types_pb2.LiteralType.FromString(bytes(gate.literal_type))
        literal = read_typed(typed, literal_type, name=gate.signal_id)
        gates.set_signal(gate.execution, gate.signal_id, literal, actor=request.user.username, comment=comment)

    if attempt(request, act, "Value given. The execution goes on."):
        return redirect("approval", gate_id=gate.pk)
    gate = access_gate(request.user, gate_id)
    context = gate_context(request, gate)
    context |= evidence_context(request, gate, context["subject"])
    return render(
        request, "approvals/detail.html", context | {"typed": typed.text, "variant": typed.variant, "comment": comment}
    )
