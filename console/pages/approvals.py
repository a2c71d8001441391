from __future__ import annotations

import json

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST
from flyteidl.core import types_pb2

from artifacts.exceptions import InvalidArgument
from console.access_objects import access_decision, access_execution, access_gate
from console.accounts.access import Action
from console.deciding import require_decider
from console.pages.approvals_context import decided_gates, gate_context, waiting_rows
from console.pages.approvals_evidence import evidence_context
from console.pages.approvals_proof import proof_context
from console.pages.responses import PageRequest, attempt, page, respond
from console.pages.typed_values import ANY, Typed, form_text, read_control, read_typed
from scheduler.actions import gates
from scheduler.approving.evidence import evidence_of
from scheduler.models import Gate, GateKind


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
    gate = access_gate(request.user, gate_id)
    require_decider(request.user, gate)
    approve = request.POST.get("decision") == "approve"
    comment = form_text(request.POST, "comment")
    actor = request.user.username

    def act() -> None:
        if request.POST.get("decision") not in ("approve", "reject"):
            raise InvalidArgument("choose Approve or Reject")
        if not approve and not comment:
            raise InvalidArgument("say why it is rejected: whoever asked has nothing else to go by")
        decided.append(gates.decide(gate, approve=approve, actor=actor, comment=comment, seen=seen))

    decided: list[Gate] = []
    seen = request.POST.get("digest", "")
    if not attempt(request, act, ""):
        return _once_more(request, gate_id, comment=comment)
    messages.success(request, _came_of(decided[0], approve=approve))
    return redirect("approval", gate_id=gate.pk)


def _once_more(request: PageRequest, gate_id: int, **typed: str) -> HttpResponse:
    """The page as it is now, with what was typed: it was refused."""
    gate = access_gate(request.user, gate_id)
    context = gate_context(request, gate)
    context |= evidence_context(request, gate, context["subject"])
    return render(request, "approvals/detail.html", context | typed)


def _came_of(gate: Gate, *, approve: bool) -> str:
    if gate.decided_at is None:
        return "Your vote is kept. Others have to decide too."
    if gate.kind != GateKind.APPROVE:
        return "Decided. The execution goes on."
    return "Approved. The execution goes on." if approve else "Rejected. The execution stops here."


@require_GET
@page
def show_evidence(request: PageRequest, decision_id: int) -> HttpResponse:
    """The evidence of a decision, made to be printed."""
    return render(request, "approvals/evidence.html", proof_context(access_decision(request.user, decision_id)))


@require_GET
@page
def download_evidence(request: PageRequest, decision_id: int) -> HttpResponse:
    """The same, signed, as a file."""
    document = evidence_of(access_decision(request.user, decision_id))
    answer = HttpResponse(json.dumps(document, indent=2, ensure_ascii=False), content_type="application/json")
    answer["Content-Disposition"] = f'attachment; filename="evidence-{decision_id}.json"'
    return answer


@require_POST
@page
def give_signal(request: PageRequest, gate_id: int) -> HttpResponse:
    gate = access_gate(request.user, gate_id)
    if gates.takes_approval(gate):
        require_decider(request.user, gate)
    else:
        access_gate(request.user, gate_id, action=Action.LAUNCH)
    typed = read_control(request.POST, "value") or Typed("", ANY)
    comment = form_text(request.POST, "comment")

    def act() -> None:
        literal_type = types_pb2.LiteralType.FromString(bytes(gate.literal_type))
        literal = read_typed(typed, literal_type, name=gate.signal_id)
        gates.set_signal(gate.execution, gate.signal_id, literal, actor=request.user.username, comment=comment)

    if attempt(request, act, "Value given. The execution goes on."):
        return redirect("approval", gate_id=gate.pk)
    return _once_more(request, gate_id, typed=typed.text, variant=typed.variant, comment=comment)
