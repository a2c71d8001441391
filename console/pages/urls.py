from __future__ import annotations

from django.contrib.auth.views import LogoutView
from django.urls import include, path

from console.pages import account, approvals, artifacts, executions, home, nodes, plans, registry

_EXECUTION = "executions/<str:project>/<str:domain>/<str:name>/"
_NODE = f"{_EXECUTION}nodes/<str:node_id>/"
_PLAN = "launch-plans/<str:project>/<str:domain>/<path:name>/"

urlpatterns = [
    path("", home.show_home, name="home"),
    path("", include("console.pages.flyte_links")),
    path("login/", account.Login.as_view(), name="login"),
    path("logout/", LogoutView.as_view(next_page="login"), name="logout"),
    path("theme/", account.set_theme, name="theme"),
    path("scope/", account.set_scope, name="scope"),
    path("tokens/", account.list_tokens, name="tokens"),
    path("tokens/create/", account.create_token, name="token-create"),
    path("tokens/<int:token_id>/revoke/", account.revoke_token, name="token-revoke"),
    path("artifacts/", artifacts.list_artifacts, name="artifacts"),
    path("artifacts/versions/<int:version_id>/", artifacts.show_version, name="version"),
    path("artifacts/versions/<int:version_id>/object/", artifacts.show_object, name="version-object"),
    path("artifacts/versions/<int:version_id>/card/", artifacts.show_card, name="version-card"),
    path("artifacts/versions/<int:version_id>/lineage/", artifacts.show_lineage, name="version-lineage"),
    path("artifacts/versions/<int:version_id>/download/", artifacts.download, name="version-download"),
    path("artifacts/<str:project>/<str:domain>/<path:name>/", artifacts.show_artifact, name="artifact"),
    path("executions/", executions.list_executions, name="executions"),
    path(_EXECUTION, executions.show_execution, name="execution"),
    path(f"{_EXECUTION}graph/", executions.show_graph, name="execution-graph"),
    path(f"{_EXECUTION}data/", executions.show_data, name="execution-data"),
    path(f"{_EXECUTION}events/", executions.show_events, name="execution-events"),
    path(f"{_EXECUTION}abort/", executions.abort, name="execution-abort"),
    path(f"{_EXECUTION}relaunch/", executions.relaunch, name="execution-relaunch"),
    path(f"{_EXECUTION}recover/", executions.recover, name="execution-recover"),
    path(_NODE, nodes.show_node, name="node"),
    path(f"{_NODE}deck/", nodes.show_deck, name="node-deck"),
    path(f"{_NODE}logs/<int:attempt_id>/", nodes.show_logs, name="node-logs"),
    path("approvals/", approvals.list_approvals, name="approvals"),
    path("approvals/<int:gate_id>/", approvals.show_approval, name="approval"),
    path("approvals/<int:gate_id>/decide/", approvals.decide, name="approval-decide"),
    path("approvals/<int:gate_id>/signal/", approvals.give_signal, name="approval-signal"),
    path("launch-plans/", plans.list_plans, name="launch-plans"),
    path(f"{_PLAN}state/", plans.set_plan_state, name="launch-plan-state"),
    path(f"{_PLAN}launch/", plans.launch_plan, name="launch-plan-launch"),
    path(_PLAN, plans.show_plan, name="launch-plan"),
    path("workflows/", registry.list_workflows, name="workflows"),
    path("workflows/<str:project>/<str:domain>/<path:name>/", registry.show_workflow, name="workflow"),
    path("tasks/", registry.list_tasks, name="tasks"),
    path("tasks/<str:project>/<str:domain>/<path:name>/", registry.show_task, name="task"),
]
