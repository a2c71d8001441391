"""Django settings, read from the environment. Every default is safe for one person on loopback.

`CAUSEWAY_HOME` is the data directory (database, broker, objects, logs, secrets of the embedded mode);
`DATABASE_URL`, `REDIS_URL` and `CAUSEWAY_STORE_URL` replace the embedded parts one by one.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from console.supervisor import roles
from console.supervisor.kept_secrets import kept_secret
from console.supervisor.paths import Home

BASE_DIR = Path(__file__).resolve().parent.parent
CAUSEWAY_HOME = Path(os.environ.get("CAUSEWAY_HOME") or BASE_DIR / ".causeway").resolve()


def env_flag(name: str, *, default: bool) -> bool:
    value = os.environ.get(name, "").strip().lower()
    return default if not value else value in {"1", "true", "yes", "on"}


def home_secret(name: str) -> str:
    """A secret kept in the data directory (mode 0600), made on first use: an embedded set-up has no default one."""
    return kept_secret(CAUSEWAY_HOME, name)


# Statements asked all day are planned once a session. "0" behind a pooler that gives each transaction another session
# and does not know prepared statements.
CAUSEWAY_PREPARE = env_flag("CAUSEWAY_PREPARE", default=True)


def database_from_url(url: str) -> dict[str, object]:
    """`postgresql://user:password@host:port/name?host=/socket/dir` as Django's DATABASES entry."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "artifacts.sessions",
        "NAME": unquote(parts.path.lstrip("/")) or "causeway",
        "USER": unquote(parts.username or "postgres"),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.pop("host", parts.hostname or ""),
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"prepare_threshold": 5 if CAUSEWAY_PREPARE else None, **query},
    }


SECRET_KEY = os.environ.get("CAUSEWAY_SECRET_KEY") or home_secret("secret-key")
# Tells installations apart that share a database by mistake: processes of one have the same key, and of a set-up by
# script/up the same data directory.
CAUSEWAY_INSTALLATION = os.environ.get("CAUSEWAY_INSTALLATION", "")
SECRET_KEY_FALLBACKS = [key for key in os.environ.get("CAUSEWAY_SECRET_KEY_OLD", "").split(",") if key]
# What secrets of tasks are sealed with, instead of the key above; after a comma, older ones that still open them.
CAUSEWAY_SECRETS_KEY = os.environ.get("CAUSEWAY_SECRETS_KEY", "")
# A folder of secrets as files, on the machine of the executor (scheduler/secrets/files.py); empty: none.
CAUSEWAY_SECRETS_DIR = os.environ.get("CAUSEWAY_SECRETS_DIR", "")
DEBUG = env_flag("CAUSEWAY_DEBUG", default=False)
ALLOWED_HOSTS = os.environ.get("CAUSEWAY_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]").split(",")
# The address that web and gRPC listen on. Anything but loopback makes console/checks.py strict.
CAUSEWAY_BIND = os.environ.get("CAUSEWAY_BIND") or "127.0.0.1"
CAUSEWAY_HTTP_PORT = int(os.environ.get("CAUSEWAY_HTTP_PORT", "8000"))
CAUSEWAY_GRPC_PORT = int(os.environ.get("CAUSEWAY_GRPC_PORT", "8089"))
# Where tasks reach the gRPC door; where it wants tokens, tasks find theirs in the FLYTE_CREDENTIALS_* of the executor.
CAUSEWAY_GRPC_ENDPOINT = os.environ.get("CAUSEWAY_GRPC_ENDPOINT") or f"127.0.0.1:{CAUSEWAY_GRPC_PORT}"
# Where browsers and clients reach the web process: signed URLs and links in notifications start with it.
CAUSEWAY_PUBLIC_URL = os.environ.get("CAUSEWAY_PUBLIC_URL", f"http://localhost:{CAUSEWAY_HTTP_PORT}").rstrip("/")
CSRF_TRUSTED_ORIGINS = [CAUSEWAY_PUBLIC_URL]
# The one address whose X-Forwarded-For and X-Forwarded-Proto are believed, "*" for any; empty: nobody's. On loopback
# only this machine's own proxy can be meant.
CAUSEWAY_TRUSTED_PROXY = os.environ.get(
    "CAUSEWAY_TRUSTED_PROXY", "127.0.0.1" if CAUSEWAY_BIND in {"127.0.0.1", "localhost"} else ""
)
# People reach it by TLS, which a proxy in front speaks: cookies are Secure, browsers are told to use nothing else.
CAUSEWAY_TLS = env_flag("CAUSEWAY_TLS", default=CAUSEWAY_PUBLIC_URL.startswith("https://"))
# "token": every gRPC call carries a bearer token. "open": one without acts as the local admin; only where nobody but
# this machine's users is served, all of whom are admins then.
CAUSEWAY_GRPC_AUTH = os.environ.get("CAUSEWAY_GRPC_AUTH") or "token"

# Who may read /metrics: "token": whoever has one with the scope `metrics`, of a platform administrator. "open": anybody
# who can connect; they hold numbers and names of clusters, nothing of projects.
CAUSEWAY_METRICS = os.environ.get("CAUSEWAY_METRICS") or "token"
if CAUSEWAY_METRICS not in ("token", "open"):
    raise ImproperlyConfigured(f"CAUSEWAY_METRICS is token or open, not {CAUSEWAY_METRICS!r}")

INSTALLED_APPS = [
    "console.accounts",  # first: its createsuperuser stands in for Django's
    "django.contrib.admin.apps.SimpleAdminConfig",  # what it shows is imported with its URLs, where it is shown
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "drf_spectacular",
    "audit",
    "artifacts",
    "lineage",
    "scheduler",
    "console",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "console.pages.middleware.Compression",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "console.accounts.middleware.Doors",
    "console.accounts.middleware.SeenSessions",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "console.pages.middleware.ContentSecurityPolicy",
    "console.pages.middleware.UnchangedFragments",
    "console.pages.middleware.FormAddresses",
    "console.pages.scope.ScopeInAddress",
    "console.names_in_paths.SlashesInNames",
]
PASSWORD_RESET_TIMEOUT = 3600  # seconds a link in a mail is good
CSRF_FAILURE_VIEW = "console.pages.errors.csrf_failure"

ROOT_URLCONF = "console.urls"
WSGI_APPLICATION = "console.wsgi.application"
AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "console.pages.navigation.navigation",
            ],
            "builtins": ["console.pages.tags", "console.pages.charts.tags"],
        },
    },
]

DATABASE_URL = os.environ.get("DATABASE_URL") or roles.url(Home(CAUSEWAY_HOME), roles.APPLICATION)
DATABASES = {"default": database_from_url(DATABASE_URL)}
# What script/up gives the executor as its DATABASE_URL; the role in it is granted what an executor does at each start.
CAUSEWAY_EXECUTOR_DATABASE_URL = os.environ.get("CAUSEWAY_EXECUTOR_DATABASE_URL", "")
CAUSEWAY_EXECUTOR_ROLE = roles.EXECUTOR if not os.environ.get("DATABASE_URL") else ""
if CAUSEWAY_EXECUTOR_DATABASE_URL and not CAUSEWAY_EXECUTOR_ROLE:
    CAUSEWAY_EXECUTOR_ROLE = str(database_from_url(CAUSEWAY_EXECUTOR_DATABASE_URL)["USER"])

# Valkey listens on a Unix socket in the embedded mode: no port to clash, reachable by this user alone.
VALKEY_SOCKET = Home(CAUSEWAY_HOME).valkey_socket
REDIS_URL = os.environ.get("REDIS_URL", "")
CELERY_BROKER_URL = REDIS_URL or f"redis+socket://{quote(str(VALKEY_SOCKET))}"
WAKE_APPLICATION = "console.celery.app"  # Celery's, that messages are sent by
WAKE_URL = REDIS_URL or f"unix://{quote(str(VALKEY_SOCKET))}"
WAKE_TIMEOUT = 5.0  # seconds; longer than a worker and an executor wait for news
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # for ever: the broker comes back
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # What a killed worker held is delivered again after this: longer than any task takes and any timer waits
    # (scheduler/shell/flush.py), or it would be done twice. Until then the sweep does it.
    "visibility_timeout": 900,
    # A broker that hangs, or whose machine is gone without a word, is one that is down.
    "socket_timeout": WAKE_TIMEOUT,
    "socket_connect_timeout": WAKE_TIMEOUT,
}
# A message is only a hint: with the broker down, whoever sends one must not wait for it.
# One more try finds a new connection.
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
# Two queues: what moves executions on never waits behind what waits for strangers (docs/architecture.md). The second
# has a worker of its own, in whose threads a few may be waited for at once.
CELERY_TASK_DEFAULT_QUEUE = "causeway"
SLOW_QUEUE = "causeway-slow"
SLOW_TASKS = (
    "scheduler.tasks.deliver_notifications",
    "scheduler.tasks.apply_retention",
    "scheduler.tasks.judge_data_of",
    "scheduler.tasks.index_plain_values",
    "scheduler.tasks.send_traces",
    "console.tasks.send_password_reset",
    "console.tasks.note_last_published",
    "lineage.tasks.send_run_events",
)
CELERY_TASK_ROUTES = {task: {"queue": SLOW_QUEUE} for task in SLOW_TASKS}
CAUSEWAY_SWEEP_SECONDS = float(os.environ.get("CAUSEWAY_SWEEP_SECONDS", "5"))
# Before a failed attempt is repeated for the first time, in seconds; it doubles with every one, up to ten minutes.
CAUSEWAY_RETRY_BACKOFF_SECONDS = float(os.environ.get("CAUSEWAY_RETRY_BACKOFF_SECONDS") or "1")
# "image=/path/of/python,...": tasks of these images run in these Pythons (virtual environments), others in our own.
CAUSEWAY_ENVIRONMENTS = os.environ.get("CAUSEWAY_ENVIRONMENTS", "")
# Where `pyflyte register` leaves environments that are built of ImageSpecs; only who may write there chooses Pythons.
CAUSEWAY_ENVIRONMENTS_DIR = os.environ.get("CAUSEWAY_ENVIRONMENTS_DIR") or str(CAUSEWAY_HOME / "environments")
# Clusters that tasks run on as pods: a YAML file that describes them, or a kubeconfig and an image for plain tasks
CAUSEWAY_CLUSTERS = os.environ.get("CAUSEWAY_CLUSTERS", "")
CAUSEWAY_KUBECONFIG = os.environ.get("CAUSEWAY_KUBECONFIG", "")
CAUSEWAY_CLUSTER_IMAGE = os.environ.get("CAUSEWAY_CLUSTER_IMAGE", "")
# Connector services: "name=host:port,...", and YAML files that describe them
CAUSEWAY_CONNECTORS = os.environ.get("CAUSEWAY_CONNECTORS", "")
# Where attempts go that ask for no cluster by label or pool: to "clusters", or to the "machine" where it runs them
CAUSEWAY_PLACEMENT = os.environ.get("CAUSEWAY_PLACEMENT") or "clusters"
if CAUSEWAY_PLACEMENT not in ("clusters", "machine"):
    raise ImproperlyConfigured(f"CAUSEWAY_PLACEMENT is clusters or machine, not {CAUSEWAY_PLACEMENT!r}")
# How long an attempt of a task without a timeout of its own may take, in seconds; 0: as long as it likes.
CAUSEWAY_TASK_TIMEOUT = float(os.environ.get("CAUSEWAY_TASK_TIMEOUT") or "0")
# Of what a task leaves to be read, in bytes; 0: any. A longer log loses its middle, a larger deck is not kept.
CAUSEWAY_MAX_LOG_BYTES = int(os.environ.get("CAUSEWAY_MAX_LOG_BYTES") or str(100 * 1024**2))
CAUSEWAY_MAX_DECK_BYTES = int(os.environ.get("CAUSEWAY_MAX_DECK_BYTES") or str(256 * 1024**2))
# Whom tasks run as: a range of user numbers (one for each project and domain), one user, or "same" as this process.
# Empty: a range where started as root, else the same. artifacts/task_users.py
CAUSEWAY_TASK_USER = os.environ.get("CAUSEWAY_TASK_USER", "")
# How many tasks and child executions of one execution run at once when neither it nor its launch plan says; 0: any.
CAUSEWAY_MAX_PARALLELISM = int(os.environ.get("CAUSEWAY_MAX_PARALLELISM", "25"))
# After downtime a schedule catches up with at most this many missed fire times, the newest.
CAUSEWAY_SCHEDULE_CATCH_UP = int(os.environ.get("CAUSEWAY_SCHEDULE_CATCH_UP", "100"))
# Triggered executions that publish and so trigger again: how many of one chain may be unfinished at once, and how many
# may follow on one another (a chain that only goes on, like find-next-prime, is legal for that long).
CAUSEWAY_TRIGGER_MAX_CHAIN = int(os.environ.get("CAUSEWAY_TRIGGER_MAX_CHAIN", "500"))
CAUSEWAY_TRIGGER_MAX_GENERATIONS = int(os.environ.get("CAUSEWAY_TRIGGER_MAX_GENERATIONS", "1000000"))
# What happens by the clock. A tick that nobody took before the next one is due is dropped, so that none pile up.
CELERY_BEAT_SCHEDULE = {
    name: {"task": task, "schedule": seconds, "options": {"expires": max(seconds, 5.0)}}
    for name, task, seconds in (
        ("sweep", "scheduler.tasks.sweep", CAUSEWAY_SWEEP_SECONDS),
        ("schedules", "scheduler.tasks.fire_schedules", 1.0),
        ("heartbeat", "console.tasks.heartbeat", 5.0),
        ("readers", "console.tasks.watch_readers", 5.0),
        ("notifications", "scheduler.tasks.deliver_notifications", 5.0),
        ("values", "scheduler.tasks.index_plain_values", 5.0),
        ("partitions", "console.tasks.note_last_published", 10.0),
        ("retention", "scheduler.tasks.apply_retention", 3600.0),
    )
}

# Single sign-on by OpenID Connect: the provider's issuer and what it knows Causeway by. Its address to send people back
# to is CAUSEWAY_PUBLIC_URL/login/sso/callback/.
CAUSEWAY_OIDC_ISSUER = os.environ.get("CAUSEWAY_OIDC_ISSUER", "")
CAUSEWAY_OIDC_CLIENT_ID = os.environ.get("CAUSEWAY_OIDC_CLIENT_ID", "")
CAUSEWAY_OIDC_CLIENT_SECRET = os.environ.get("CAUSEWAY_OIDC_CLIENT_SECRET", "")
CAUSEWAY_OIDC_NAME = os.environ.get("CAUSEWAY_OIDC_NAME") or "single sign-on"  # on the button
CAUSEWAY_OIDC_SCOPES = os.environ.get("CAUSEWAY_OIDC_SCOPES", "")  # beyond openid, profile and email
CAUSEWAY_OIDC_USERNAME = os.environ.get("CAUSEWAY_OIDC_USERNAME") or "preferred_username"  # the claim
CAUSEWAY_OIDC_GROUPS = os.environ.get("CAUSEWAY_OIDC_GROUPS") or "groups"  # the claim
# Its members are platform administrators, nobody else who logs in there; empty: the provider makes none.
CAUSEWAY_OIDC_ADMIN_GROUP = os.environ.get("CAUSEWAY_OIDC_ADMIN_GROUP", "")
# Authlib speaks TLS only, but for this: whether Causeway is reached without is asked by console/checks.py.
os.environ.setdefault("AUTHLIB_INSECURE_TRANSPORT", "1")

# Mail: empty host: notifications by mail are recorded and given up. Port 465 speaks TLS from the start, others STARTTLS
# where CAUSEWAY_SMTP_TLS=1.
EMAIL_HOST = os.environ.get("CAUSEWAY_SMTP_HOST", "")
EMAIL_PORT = int(os.environ.get("CAUSEWAY_SMTP_PORT", "587"))
EMAIL_HOST_USER = os.environ.get("CAUSEWAY_SMTP_USER", "")
EMAIL_HOST_PASSWORD = os.environ.get("CAUSEWAY_SMTP_PASSWORD", "")
EMAIL_USE_SSL = EMAIL_PORT == 465
EMAIL_USE_TLS = not EMAIL_USE_SSL and env_flag("CAUSEWAY_SMTP_TLS", default=True)
EMAIL_BACKEND = "scheduler.notifications.smtp.Backend"  # with a deadline for the whole of each sending
DEFAULT_FROM_EMAIL = os.environ.get("CAUSEWAY_MAIL_FROM") or "causeway@localhost"
# Webhooks may go to addresses that are not public: a receiver in the same network, or on this machine.
CAUSEWAY_WEBHOOK_PRIVATE = env_flag("CAUSEWAY_WEBHOOK_PRIVATE", default=False)

# Executions are told to this endpoint as OpenLineage events; empty: to nobody.
CAUSEWAY_OPENLINEAGE_URL = os.environ.get("CAUSEWAY_OPENLINEAGE_URL", "")
CAUSEWAY_OPENLINEAGE_API_KEY = os.environ.get("CAUSEWAY_OPENLINEAGE_API_KEY", "")
CAUSEWAY_OPENLINEAGE_NAMESPACE = os.environ.get("CAUSEWAY_OPENLINEAGE_NAMESPACE", "causeway")
# Where events of other systems belong that name no place and come with a token of no project: project/domain.
CAUSEWAY_OPENLINEAGE_PLACE = os.environ.get("CAUSEWAY_OPENLINEAGE_PLACE") or "flytesnacks/development"
# How long what they told is kept after the last word about it; 0: for ever. What versions came of is kept with these.
CAUSEWAY_OPENLINEAGE_DAYS = int(os.environ.get("CAUSEWAY_OPENLINEAGE_DAYS") or "400")
if CAUSEWAY_OPENLINEAGE_URL:
    CELERY_BEAT_SCHEDULE["lineage"] = {
        "task": "lineage.tasks.send_run_events",
        "schedule": 1.0,
        "options": {"expires": 5.0},
    }

# Executions that ended are told as OpenTelemetry traces to this collector (OTLP over HTTP, `/v1/traces` follows), with
# these headers: `name=value,name=value`.
CAUSEWAY_OTLP_URL = os.environ.get("CAUSEWAY_OTLP_URL", "")
CAUSEWAY_OTLP_HEADERS = os.environ.get("CAUSEWAY_OTLP_HEADERS", "")
if CAUSEWAY_OTLP_URL:
    CELERY_BEAT_SCHEDULE["traces"] = {
        "task": "scheduler.tasks.send_traces",
        "schedule": 2.0,
        "options": {"expires": 10.0},
    }

# Object store: a local directory or an S3 bucket (s3://bucket/prefix; endpoint and keys from AWS_*). A directory stands
# here without file://: literals carry URIs below it, and flytekit takes a FlyteFile at file:///... for a missing file.
_own_store = "s3://causeway" if (CAUSEWAY_HOME / "s3-door").exists() else str(CAUSEWAY_HOME / "objects")  # its own door
CAUSEWAY_STORE_URL = (os.environ.get("CAUSEWAY_STORE_URL") or _own_store).removeprefix("file://")
CAUSEWAY_STORE_URL = CAUSEWAY_STORE_URL.rstrip("/")
CAUSEWAY_MAX_UPLOAD_BYTES = int(os.environ.get("CAUSEWAY_MAX_UPLOAD_BYTES", str(5 * 1024**3)))

# SQL over the data of artifacts: for how long a query may run (seconds), how much it may read and hold (bytes).
CAUSEWAY_SQL_SECONDS = int(os.environ.get("CAUSEWAY_SQL_SECONDS") or "60")
CAUSEWAY_SQL_MAX_BYTES = int(os.environ.get("CAUSEWAY_SQL_MAX_BYTES") or str(20 * 1024**3))
CAUSEWAY_SQL_MEMORY = int(os.environ.get("CAUSEWAY_SQL_MEMORY") or str(1024**3))

CAUSEWAY_DOMAINS = os.environ.get("CAUSEWAY_DOMAINS", "development,staging,production").split(",")

# A launch form has up to three controls an input.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 10_000
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = CAUSEWAY_HOME / "static"
STATICFILES_DIRS = [BASE_DIR / "frontend"]
# Under names with a digest of what is in them, compressed, and for ever in a browser's cache.
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "console.static_files.HashedFiles"},
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# The second proves nothing that the first refused; sessions begun before there was the first name it.
AUTHENTICATION_BACKENDS = [
    "console.accounts.backends.PasswordBackend",
    "django.contrib.auth.backends.ModelBackend",
]
_VALIDATION = "django.contrib.auth.password_validation"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"{_VALIDATION}.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": f"{_VALIDATION}.CommonPasswordValidator"},
    {"NAME": f"{_VALIDATION}.NumericPasswordValidator"},
    {"NAME": f"{_VALIDATION}.UserAttributeSimilarityValidator"},
    {"NAME": "console.accounts.passwords.VariedValidator"},
]
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = CAUSEWAY_TLS
SECURE_HSTS_SECONDS = int(os.environ.get("CAUSEWAY_HSTS_SECONDS") or str(365 * 24 * 3600)) if CAUSEWAY_TLS else 0
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "SAMEORIGIN"

REST_FRAMEWORK: dict[str, object] = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "console.rest.authentication.BearerAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["console.rest.parsing.StrictJson"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "console.rest.negotiation.AlwaysJson",
    "EXCEPTION_HANDLER": "console.rest.problems.handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS: dict[str, object] = {
    "TITLE": "Causeway",
    "DESCRIPTION": "Everything the console can do. Errors are problem details (RFC 9457), lists page by cursor.",
    "VERSION": "v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": ["console.rest.schema.add_problems"],
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"()": "console.redaction.Formatter", "format": "%(asctime)s %(levelname)s %(name)s %(message)s"}
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": os.environ.get("CAUSEWAY_LOG_LEVEL", "INFO")},
    "loggers": {"waitress.queue": {"level": "ERROR"}},  # it warns of every request that is not begun at once
}
