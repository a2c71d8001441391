from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase
from django.urls import include, path, re_path
from django.views.decorators.csrf import csrf_exempt

from console.names_in_paths import find, lenient
from console.rest import (
    aliases,
    artifacts,
    attributes,
    bulk,
    clusters,
    executions,
    gates,
    graphs,
    hooks,
    identity,
    launch_plans,
    lineage,
    nodes,
    notifications,
    projects,
    quotas,
    readers,
    registry,
    retention,
    roles,
    schedules,
    schema,
    secrets,
    sql,
    triggers,
    uploads,
    usage,
    version_data,
    versions,
)
from console.rest.problems import no_such_route

app_name = "rest"

SCOPED = "<str:project>/<str:domain>/<str:name>"
REGISTERED = "<str:project>/<str:domain>/<name:name>"  # may hold slashes, as versions, nodes and signals may
ARTIFACT = "artifacts/<str:project>/<str:domain>/<word:name>"
VERSION = f"{ARTIFACT}/versions/<str:version>"
EXECUTION = f"executions/{SCOPED}"
NODE = f"{EXECUTION}/nodes/<name:node_id>"
LAUNCH_PLAN = f"launch-plans/{REGISTERED}"
PLAN_VERSION = f"{LAUNCH_PLAN}/versions/<name:version>"

v1 = [
    path("schema", schema.SchemaView.as_view(), name="schema"),
    path("docs", schema.docs_page, name="docs"),
    path("me", identity.MeView.as_view(), name="me"),
    path("tokens", identity.TokensView.as_view(), name="tokens"),
    path("tokens/<int:token_id>", identity.TokenView.as_view(), name="token"),
    path("readers", readers.ReadersView.as_view(), name="readers"),
    path("readers/<str:name>", readers.ReaderView.as_view(), name="reader"),
    path("readers/<str:name>/rotate", readers.RotateReaderView.as_view(), name="rotate-reader"),
    path("role-bindings", roles.BindingsView.as_view(), name="role-bindings"),
    path("role-bindings/<int:binding_id>", roles.BindingView.as_view(), name="role-binding"),
    path("audit", roles.AuditView.as_view(), name="audit"),
    path("projects", projects.ProjectsView.as_view(), name="projects"),
    path("projects/<str:project>", projects.ProjectView.as_view(), name="project"),
    path("projects/<str:project>/attributes", attributes.AttributesView.as_view(), name="attributes"),
    path("projects/<str:project>/attributes/<str:kind>", attributes.KindView.as_view(), name="attributes-kind"),
    path("tasks", registry.TasksView.as_view(), name="tasks"),
    path(f"tasks/{REGISTERED}", registry.TaskView.as_view(), name="task"),
    path(f"tasks/{REGISTERED}/versions/<name:version>", registry.TaskVersionView.as_view(), name="task-version"),
    path("workflows", registry.WorkflowsView.as_view(), name="workflows"),
    path(f"workflows/{REGISTERED}", registry.WorkflowView.as_view(), name="workflow"),
    path(
        f"workflows/{REGISTERED}/versions/<name:version>",
        registry.WorkflowVersionView.as_view(),
        name="workflow-version",
    ),
    path("launch-plans", launch_plans.LaunchPlansView.as_view(), name="launch-plans"),
    path(LAUNCH_PLAN, launch_plans.LaunchPlanView.as_view(), name="launch-plan"),
    path(
        PLAN_VERSION,
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
    path("schedules", schedules.SchedulesView.as_view(), name="schedules"),
    path("schedules/<int:schedule_id>", schedules.ScheduleView.as_view(), name="schedule"),
    path("schedules/<int:schedule_id>/pause", schedules.PauseScheduleView.as_view(), name="pause-schedule"),
    path("schedules/<int:schedule_id>/resume", schedules.ResumeScheduleView.as_view(), name="resume-schedule"),
    path("schedules/<int:schedule_id>/run", schedules.RunScheduleView.as_view(), name="run-schedule"),
    path("schedules/<int:schedule_id>/fires", schedules.FiresView.as_view(), name="schedule-fires"),
    path("executions", executions.ExecutionsView.as_view(), name="executions"),
    path(EXECUTION, executions.ExecutionView.as_view(), name="execution"),
    path(f"{EXECUTION}/inputs", executions.ExecutionInputsView.as_view(), name="execution-inputs"),
    path(f"{EXECUTION}/outputs", executions.ExecutionOutputsView.as_view(), name="execution-outputs"),
    path(f"{EXECUTION}/events", nodes.EventsView.as_view(), name="execution-events"),
    path(f"{EXECUTION}/signals", gates.SignalsAheadView.as_view(), name="signals-ahead"),
    path(f"{EXECUTION}/signals/<name:signal_id>", gates.SignalByNameView.as_view(), name="signal-by-name"),
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
    path(f"{EXECUTION}/notifications", notifications.NotificationsView.as_view(), name="notifications"),
    path("notifications/<int:notification_id>/send", notifications.SendAgainView.as_view(), name="send-again"),
    path("secrets", secrets.SecretsView.as_view(), name="secrets"),
    path("secrets/<int:secret_id>", secrets.SecretView.as_view(), name="secret"),
    path("quotas", quotas.QuotasView.as_view(), name="quotas"),
    path("quotas/<int:pk>", quotas.QuotaView.as_view(), name="quota"),
    path("usage", usage.UsageView.as_view(), name="usage"),
    path("usage.csv", usage.UsageCsvView.as_view(), name="usage-csv"),
    path("queue", quotas.QueueView.as_view(), name="queue"),
    path("clusters", clusters.ClustersView.as_view(), name="clusters"),
    path("clusters/<str:name>", clusters.ClusterView.as_view(), name="cluster"),
    path("clusters/<str:name>/overview", clusters.OverviewView.as_view(), name="cluster-overview"),
    path("subscriptions", notifications.SubscriptionsView.as_view(), name="subscriptions"),
    path("subscriptions/<int:subscription_id>", notifications.SubscriptionView.as_view(), name="subscription"),
    path("gates", gates.GatesView.as_view(), name="gates"),
    path("gates/<int:gate_id>", gates.GateView.as_view(), name="gate"),
    path("gates/<int:gate_id>/decide", gates.DecideView.as_view(), name="decide"),
    path("gates/<int:gate_id>/signal", gates.SignalView.as_view(), name="signal"),
    path("artifacts", artifacts.ArtifactsView.as_view(), name="artifacts"),
    path(ARTIFACT, artifacts.ArtifactView.as_view(), name="artifact"),
    path(f"{ARTIFACT}/trigger-preview", triggers.PreviewView.as_view(), name="trigger-preview"),
    path(f"{VERSION}/triggers", triggers.VersionTriggersView.as_view(), name="version-triggers"),
    path(f"{ARTIFACT}/resolve", artifacts.ResolveView.as_view(), name="resolve"),
    path(f"{ARTIFACT}/aliases/<word:alias>", aliases.AliasView.as_view(), name="alias"),
    path(f"{ARTIFACT}/aliases/<word:alias>/moves", aliases.AliasMovesView.as_view(), name="alias-moves"),
    path(f"{ARTIFACT}/versions", versions.VersionsView.as_view(), name="versions"),
    path(VERSION, versions.VersionView.as_view(), name="version"),
    path(f"{VERSION}/object", version_data.ObjectView.as_view(), name="version-object"),
    path(f"{VERSION}/card", versions.CardView.as_view(), name="version-card"),
    path(f"{VERSION}/lineage", lineage.LineageView.as_view(), name="version-lineage"),
    path("uploads/<str:project>/<str:domain>", uploads.UploadsView.as_view(), name="uploads"),
    path("uploads/<str:project>/<str:domain>/complete", uploads.CompleteUploadView.as_view(), name="upload-complete"),
    path("uploads/<str:project>/<str:domain>/abort", uploads.AbortUploadView.as_view(), name="upload-abort"),
    path("artifact-versions", versions.SearchView.as_view(), name="artifact-versions"),
    path("hooks", hooks.HooksView.as_view(), name="hooks"),
    path("hooks/<str:key>", hooks.HookView.as_view(), name="hook"),
    path("hooks/<str:key>/rotate", hooks.RotateHookView.as_view(), name="rotate-hook"),
    path("sql", sql.SqlView.as_view(), name="sql"),
    path("artifact-versions/bulk", bulk.BulkView.as_view(), name="bulk-publish"),
    path("artifact-versions/facets", versions.FacetsView.as_view(), name="facets"),
    path("artifact-versions/stale", graphs.StaleView.as_view(), name="stale-versions"),
    path("artifact-versions/<int:version_id>/lineage", graphs.GraphView.as_view(), name="version-graph"),
    path("artifact-versions/<int:version_id>/trained-on", graphs.TrainedOnView.as_view(), name="trained-on"),
    path("artifact-versions/<int:version_id>/feeds", graphs.FeedsView.as_view(), name="feeds"),
    path("artifact-versions/<int:version_id>/staleness", graphs.StalenessView.as_view(), name="staleness"),
    path(
        "artifact-versions/<int:version_id>/compare/<int:other_id>",
        graphs.CompareView.as_view(),
        name="compare-versions",
    ),
    path("lineage/map", graphs.MapView.as_view(), name="lineage-map"),
    path(f"{ARTIFACT}/retention", retention.PolicyView.as_view(), name="retention"),
    path(f"{ARTIFACT}/retention/plan", retention.PlanView.as_view(), name="retention-plan"),
    path(f"{ARTIFACT}/retention/run", retention.RunView.as_view(), name="retention-run"),
    path(f"{ARTIFACT}/removals", retention.RemovalsView.as_view(), name="removals"),
    path("artifact-versions/<int:version_id>", versions.VersionByIdView.as_view(), name="version-by-id"),
]

LENIENT = lenient(v1)


@csrf_exempt
def elsewhere(request: HttpRequest, rest: str) -> HttpResponseBase:
    """An address in which something on the way has decoded the slashes of a name, or none of ours."""
    found = find(LENIENT, rest)
    return found.func(request, *found.args, **found.kwargs) if found else no_such_route(request)


urlpatterns = [path("v1/", include(v1)), path("v1/<path:rest>", elsewhere), re_path("", no_such_route)]
