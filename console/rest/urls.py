from __future__ import annotations

from django.urls import include, path, re_path

from console.rest import (
    aliases,
    artifacts,
    bulk,
    executions,
    gates,
    identity,
    launch_plans,
    lineage,
    nodes,
    projects,
    registry,
    roles,
    schema,
    triggers,
    uploads,
    version_data,
    versions,
)
from console.rest.problems import no_such_route

app_name = "rest"

SCOPED = "<str:project>/<str:domain>/<str:name>"
ARTIFACT = f"artifacts/{SCOPED}"
VERSION = f"{ARTIFACT}/versions/<str:version>"
EXECUTION = f"executions/{SCOPED}"
NODE = f"{EXECUTION}/nodes/<str:node_id>"
LAUNCH_PLAN = f"launch-plans/{SCOPED}"
PLAN_VERSION = f"{LAUNCH_PLAN}/versions/<str:version>"

v1 = [
    path("schema", schema.SchemaView.as_view(), name="schema"),
    path("docs", schema.docs_page, name="docs"),
    path("me", identity.MeView.as_view(), name="me"),
    path("tokens", identity.TokensView.as_view(), name="tokens"),
    path("tokens/<int:token_id>", identity.TokenView.as_view(), name="token"),
    path("role-bindings", roles.BindingsView.as_view(), name="role-bindings"),
    path("role-bindings/<int:binding_id>", roles.BindingView.as_view(), name="role-binding"),
    path("audit", roles.AuditView.as_view(), name="audit"),
    path("projects", projects.ProjectsView.as_view(), name="projects"),
    path("projects/<str:project>", projects.ProjectView.as_view(), name="project"),
    path("tasks", registry.TasksView.as_view(), name="tasks"),
    path(f"tasks/{SCOPED}", registry.TaskView.as_view(), name="task"),
    path(f"tasks/{SCOPED}/versions/<str:version>", registry.TaskVersionView.as_view(), name="task-version"),
    path("workflows", registry.WorkflowsView.as_view(), name="workflows"),
    path(f"workflows/{SCOPED}", registry.WorkflowView.as_view(), name="workflow"),
    path(f"workflows/{SCOPED}/versions/<str:version>", registry.WorkflowVersionView.as_view(), name="workflow-version"),
    path("launch-plans", launch_plans.LaunchPlansView.as_view(), name="launch-plans"),
    path(LAUNCH_PLAN, launch_plans.LaunchPlanView.as_view(), name="launch-plan"),
    path(
        f"{LAUNCH_PLAN}/versions/<str:version>",
        launch_plans.LaunchPlanVersionView.as_view(),
        name="launch-plan-version",
    ),
    path(f"{PLAN_VERSION}/activate", launch_plans.ActivateView.as_view(), name="activate"),
    path(f"{PLAN_VERSION}/deactivate", launch_plans.DeactivateView.as_view(), name="deactivate"),
    path("triggers", triggers.TriggersView.as_view(), name="triggers"),
    path("triggers/<int:trigger_id>", triggers.TriggerView.as_view(), name="trigger"),
    path("triggers/<int:trigger_id>/firings", triggers.FiringsView.as_view(), name="firings"),
    path("triggers/<int:trigger_id>/pause", triggers.PauseView.as_view(), name="pause-trigger"),
    path("triggers/<int:trigger_id>/resume", triggers.ResumeView.as_view(), name="resume-trigger"),
    path("triggers/<int:trigger_id>/limits", triggers.LimitsView.as_view(), name="trigger-limits"),
    path("firings", triggers.AllFiringsView.as_view(), name="all-firings"),
    path("firings/<int:firing_id>/retry", triggers.RetryView.as_view(), name="retry-firing"),
    path("schedules", triggers.SchedulesView.as_view(), name="schedules"),
    path("executions", executions.ExecutionsView.as_view(), name="executions"),
    path(EXECUTION, executions.ExecutionView.as_view(), name="execution"),
    path(f"{EXECUTION}/inputs", executions.ExecutionInputsView.as_view(), name="execution-inputs"),
    path(f"{EXECUTION}/outputs", executions.ExecutionOutputsView.as_view(), name="execution-outputs"),
    path(f"{EXECUTION}/events", nodes.EventsView.as_view(), name="execution-events"),
    path(f"{EXECUTION}/abort", executions.AbortView.as_view(), name="abort"),
    path(f"{EXECUTION}/archive", executions.ArchiveView.as_view(), name="archive"),
    path(f"{EXECUTION}/relaunch", executions.RelaunchView.as_view(), name="relaunch"),
    path(f"{EXECUTION}/recover", executions.RecoverView.as_view(), name="recover"),
    path(f"{EXECUTION}/nodes", nodes.NodesView.as_view(), name="nodes"),
    path(NODE, nodes.NodeView.as_view(), name="node"),
    path(f"{NODE}/inputs", nodes.NodeInputsView.as_view(), name="node-inputs"),
    path(f"{NODE}/outputs", nodes.NodeOutputsView.as_view(), name="node-outputs"),
    path(f"{NODE}/deck", nodes.DeckView.as_view(), name="deck"),
    path(f"{NODE}/attempts", nodes.AttemptsView.as_view(), name="attempts"),
    path(f"{NODE}/attempts/<int:attempt>/log", nodes.LogView.as_view(), name="log"),
    path("gates", gates.GatesView.as_view(), name="gates"),
    path("gates/<int:gate_id>", gates.GateView.as_view(), name="gate"),
    path("gates/<int:gate_id>/decide", gates.DecideView.as_view(), name="decide"),
    path("gates/<int:gate_id>/signal", gates.SignalView.as_view(), name="signal"),
    path("artifacts", artifacts.ArtifactsView.as_view(), name="artifacts"),
    path(ARTIFACT, artifacts.ArtifactView.as_view(), name="artifact"),
    path(f"{ARTIFACT}/trigger-preview", triggers.PreviewView.as_view(), name="trigger-preview"),
    path(f"{VERSION}/triggers", triggers.VersionTriggersView.as_view(), name="version-triggers"),
    path(f"{ARTIFACT}/resolve", artifacts.ResolveView.as_view(), name="resolve"),
    path(f"{ARTIFACT}/aliases/<str:alias>", aliases.AliasView.as_view(), name="alias"),
    path(f"{ARTIFACT}/aliases/<str:alias>/moves", aliases.AliasMovesView.as_view(), name="alias-moves"),
    path(f"{ARTIFACT}/versions", versions.VersionsView.as_view(), name="versions"),
    path(VERSION, versions.VersionView.as_view(), name="version"),
    path(f"{VERSION}/object", version_data.ObjectView.as_view(), name="version-object"),
    path(f"{VERSION}/card", versions.CardView.as_view(), name="version-card"),
    path(f"{VERSION}/lineage", lineage.LineageView.as_view(), name="version-lineage"),
    path("uploads/<str:project>/<str:domain>", uploads.UploadsView.as_view(), name="uploads"),
    path("uploads/<str:project>/<str:domain>/complete", uploads.CompleteUploadView.as_view(), name="upload-complete"),
    path("uploads/<str:project>/<str:domain>/abort", uploads.AbortUploadView.as_view(), name="upload-abort"),
    path("artifact-versions", versions.SearchView.as_view(), name="artifact-versions"),
    path("artifact-versions/bulk", bulk.BulkView.as_view(), name="bulk-publish"),
    path("artifact-versions/facets", versions.FacetsView.as_view(), name="facets"),
    path("artifact-versions/<int:version_id>", versions.VersionByIdView.as_view(), name="version-by-id"),
]

urlpatterns = [path("v1/", include(v1)), re_path("", no_such_route)]
