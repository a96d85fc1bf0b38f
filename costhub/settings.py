"""One settings module for every way to run: embedded servers on a laptop, external ones in production, tests.

Without DATABASE_URL the embedded servers of COSTHUB_HOME are meant, and the secrets come from a file made there at
first start; with it everything secret must come from the environment. Bad values stop the process at start-up.
"""

import os
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from django.core.exceptions import ImproperlyConfigured

from common.periods import PeriodKind
from costhub import embedded, env

BASE_DIR = Path(__file__).resolve().parent.parent
COSTHUB_HOME = Path(env.text("COSTHUB_HOME", str(BASE_DIR / ".costhub"))).resolve()
EMBEDDED = not os.environ.get("DATABASE_URL", "").strip()

if EMBEDDED:
    _servers = embedded.urls(COSTHUB_HOME)
    _secrets = embedded.secrets(COSTHUB_HOME)
    DATABASE_URL, DATABASE_OWNER_URL, REDIS_URL = (
        _servers.database_url,
        _servers.database_owner_url,
        env.text("REDIS_URL", _servers.redis_url),
    )
else:
    _secrets = {}
    DATABASE_URL = env.text("DATABASE_URL")
    DATABASE_OWNER_URL = env.text("DATABASE_OWNER_URL", DATABASE_URL)
    REDIS_URL = env.text("REDIS_URL")

DEBUG = env.flag("DEBUG", False)
BASE_URL = env.text("BASE_URL", "http://127.0.0.1:8000").rstrip("/")
_base = urlsplit(BASE_URL)
if _base.scheme not in {"http", "https"} or not _base.hostname or _base.path:
    raise ImproperlyConfigured("BASE_URL must look like https://costhub.example.com")
_https = _base.scheme == "https"

SECRET_KEY = env.text("SECRET_KEY", _secrets.get("SECRET_KEY"))
if len(SECRET_KEY) < 40:
    raise ImproperlyConfigured("SECRET_KEY must have at least 40 characters")
KEY_PEPPER = env.key_bytes("COSTHUB_KEY_PEPPER", env.text("COSTHUB_KEY_PEPPER", _secrets.get("COSTHUB_KEY_PEPPER")), 32)
SEAL_KEY = env.key_bytes("COSTHUB_SEAL_KEY", env.text("COSTHUB_SEAL_KEY", _secrets.get("COSTHUB_SEAL_KEY")), 32)
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", f"{_base.hostname},127.0.0.1,localhost")
CSRF_TRUSTED_ORIGINS = [BASE_URL]

INSTALLED_APPS = [
    "costhub",
    "common",
    "tenants",
    "pricing",
    "usage",
    "alerts",
    "budgets",
    "ingest",
    "reconciliation",
    "analytics",
    "corrections",
    "watch",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "django_celery_beat",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]

MIDDLEWARE = [
    "common.requests.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "common.requests.ContentSecurityPolicyMiddleware",
    "ingest.lane.ExpressLaneMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]

ROOT_URLCONF = "costhub.urls"
WSGI_APPLICATION = "costhub.wsgi.application"
APPEND_SLASH = False

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
                "tenants.context.organization",
                "costhub.context.nav_counts",
            ],
        },
    }
]

FORM_RENDERER = "common.form_renderer.FormRenderer"

# `default` is what web and workers use: a role that owns no table, so that row-level security binds it.
# `owner` runs migrations and makes test databases; nothing else may touch it.
APPLICATION_ROLE = "costhub_app"


def _database(name: str, url: str, options: dict[str, object]) -> dict[str, object]:
    parameters = env.postgres(name, url)
    sslmode = {"sslmode": parameters.pop("sslmode")} if "sslmode" in parameters else {}
    return {"ENGINE": "django.db.backends.postgresql", **parameters, "OPTIONS": {**sslmode, **options}}


DATABASES = {
    "default": {
        **_database(
            "DATABASE_URL",
            DATABASE_URL,
            {
                # Named again here so that a database login with more rights is still held to the role.
                "options": f"-c role={APPLICATION_ROLE} -c timezone=UTC",
                "connect_timeout": 5,
            },
        ),
        # A connection for each thread, which a pool would have to check and hand over at every request.
        "CONN_MAX_AGE": 120,
        "CONN_HEALTH_CHECKS": True,
        "TEST": {"MIRROR": "owner"},
    },
    "owner": _database("DATABASE_OWNER_URL", DATABASE_OWNER_URL, {"options": "-c timezone=UTC", "connect_timeout": 5}),
}
# For tests on a database that is thrown away: start even though fsync is off.
ALLOW_UNSAFE_DATABASE = env.flag("ALLOW_UNSAFE_DATABASE", False)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "tenants.User"

AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.ScryptPasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = env.text("EMAIL_VERIFICATION", "optional")
if ACCOUNT_EMAIL_VERIFICATION not in {"none", "optional", "mandatory"}:
    raise ImproperlyConfigured("EMAIL_VERIFICATION must be none, optional or mandatory")
ACCOUNT_ADAPTER = "tenants.adapter.AccountAdapter"
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_LOGOUT_ON_GET = False
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "account_login"

SESSION_COOKIE_NAME = "__Host-costhub" if _https else "costhub_session"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 14 * 24 * 3600
CSRF_FAILURE_VIEW = "costhub.errors.csrf_failure"
SECURE_SSL_REDIRECT = _https
SECURE_HSTS_SECONDS = 31_536_000 if _https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _https
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
_behind_tls_proxy = env.flag("BEHIND_TLS_PROXY", False)
if _behind_tls_proxy:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
# The entry of the outermost proxy in X-Forwarded-For says whose logins to count and from which network a key is used;
# anything before it is the caller's word. None: the header counts for nothing.
TRUSTED_PROXY_COUNT = env.number("TRUSTED_PROXY_COUNT", int(_behind_tls_proxy), minimum=0, maximum=10)
if _behind_tls_proxy and not TRUSTED_PROXY_COUNT:
    raise ImproperlyConfigured("TRUSTED_PROXY_COUNT must be at least 1 with BEHIND_TLS_PROXY")
ALLAUTH_TRUSTED_PROXY_COUNT = TRUSTED_PROXY_COUNT

# Redis carries wake-ups and rate counters only: whatever lives there may vanish, so no call may wait long for it.
REDIS_TIMEOUT_S = 1
CACHES = {
    "default": {
        "BACKEND": "common.cache.FailOpenRedisCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {"socket_timeout": REDIS_TIMEOUT_S, "socket_connect_timeout": REDIS_TIMEOUT_S},
    }
}

_redis = urlsplit(REDIS_URL)
_redis_database = parse_qs(_redis.query).get("db", ["0"])[0]
CELERY_BROKER_URL = (
    f"redis+socket://{_redis.path}?virtual_host={_redis_database}" if _redis.scheme == "unix" else REDIS_URL
)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_timeout": 10, "socket_connect_timeout": REDIS_TIMEOUT_S, "max_retries": 0}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "costhub.beat:SteadyScheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 2
CELERY_BEAT_SCHEDULE = {
    "settle-usage": {"task": "ingest.settle", "schedule": 2.0, "options": {"expires": 10}},
    "evaluate-rules": {"task": "watch.evaluate", "schedule": 60.0, "options": {"expires": 50}},
    "run-imports": {"task": "ingest.run_imports", "schedule": 5.0, "options": {"expires": 30}},
    "send-reviews": {"task": "analytics.send_reviews", "schedule": 300.0, "options": {"expires": 240}},
    "deliver-alerts": {"task": "alerts.deliver", "schedule": 5.0, "options": {"expires": 30}},
    "work-off-repricings": {"task": "corrections.work_off", "schedule": 5.0, "options": {"expires": 30}},
    "sweep-reservations": {"task": "budgets.sweep_reservations", "schedule": 5.0, "options": {"expires": 10}},
    "check-counters": {"task": "budgets.check_counters", "schedule": 60.0, "options": {"expires": 30}},
    "price-late": {"task": "corrections.price_late", "schedule": 300.0, "options": {"expires": 240}},
    "book-fees": {"task": "ingest.book_fees", "schedule": 300.0, "options": {"expires": 240}},
    "make-partitions": {"task": "usage.make_partitions", "schedule": 3600.0, "options": {"expires": 1800}},
    "drop-old-events": {"task": "usage.drop_old_events", "schedule": 3600.0, "options": {"expires": 1800}},
    "forget-old-networks": {"task": "usage.forget_old_networks", "schedule": 86_400.0, "options": {"expires": 1800}},
    "forget-old-claims": {"task": "ingest.forget_old_claims", "schedule": 3600.0, "options": {"expires": 1800}},
    "forget-old-reservations": {
        "task": "budgets.forget_old_reservations",
        "schedule": 86_400.0,
        "options": {"expires": 1800},
    },
    "forget-old-counts": {"task": "ingest.forget_old_counts", "schedule": 86_400.0, "options": {"expires": 1800}},
}

MAIL_FOLDER = COSTHUB_HOME / "mail"
EMAIL_URL = env.text("EMAIL_URL", "")
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", "CostHub <costhub@localhost>")
if EMAIL_URL:
    EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    _smtp = env.smtp("EMAIL_URL", EMAIL_URL)
    EMAIL_HOST, EMAIL_PORT = _smtp["HOST"], _smtp["PORT"]
    EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _smtp["HOST_USER"], _smtp["HOST_PASSWORD"]
    EMAIL_USE_TLS, EMAIL_USE_SSL = _smtp["USE_TLS"], _smtp["USE_SSL"]
else:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = MAIL_FOLDER

# The operator's exceptions to the guard on outgoing HTTP, as exact origins such as http://127.0.0.1:9000.
OUTBOUND_ALLOWED_ORIGINS = frozenset(env.words("OUTBOUND_ALLOWED_ORIGINS"))

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
USE_I18N = False
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
# Collected, hashed and compressed where STATIC_ROOT says; without it, served as they lie in the checkout.
_collected = env.text("STATIC_ROOT", "")
STATIC_ROOT = Path(_collected) if _collected else None
WHITENOISE_USE_FINDERS = not _collected
WHITENOISE_AUTOREFRESH = DEBUG
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if WHITENOISE_USE_FINDERS
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# Usage events: how far from now an event's time may lie, and how large a request may be (docs: API, BAD_INPUTS).
EVENT_MAX_AGE_DAYS = env.number("EVENT_MAX_AGE_DAYS", 35, minimum=1, maximum=365)
EVENT_MAX_AHEAD_SECONDS = env.number("EVENT_MAX_AHEAD_SECONDS", 300, minimum=0, maximum=86_400)
EVENT_BATCH_LIMIT = 1_000
EVENT_BODY_LIMIT = 1_048_576
EVENT_BODY_SECONDS = 15
# An event id is remembered longer than its event could be accepted again.
EVENT_CLAIM_DAYS = env.number("EVENT_CLAIM_DAYS", EVENT_MAX_AGE_DAYS + 5, minimum=6, maximum=400)
if EVENT_CLAIM_DAYS < EVENT_MAX_AGE_DAYS + 5:
    raise ImproperlyConfigured("EVENT_CLAIM_DAYS must be at least EVENT_MAX_AGE_DAYS + 5")
# For how many whole months before this one raw events are kept; 0 keeps them for ever. Sums are always kept.
EVENT_RETENTION_MONTHS = env.number("EVENT_RETENTION_MONTHS", 0, minimum=0, maximum=1200)
_fewest_months = -(-EVENT_MAX_AGE_DAYS // 28)
if 0 < EVENT_RETENTION_MONTHS < _fewest_months:
    raise ImproperlyConfigured(
        f"EVENT_RETENTION_MONTHS must be 0 or at least {_fewest_months}:"
        f" events may arrive {EVENT_MAX_AGE_DAYS} days late"
    )
DATA_UPLOAD_MAX_MEMORY_SIZE = EVENT_BODY_LIMIT
# How long what an authorization holds is held without its usage or a renewal (docs/reservations.md).
AUTHORIZATION_LEASE_SECONDS = env.number("AUTHORIZATION_LEASE_SECONDS", 120, minimum=1, maximum=3_600)
# How much a virtual key or access token, and its whole organization, may report. A full batch always fits.
INGEST_KEY_REQUESTS_PER_SECOND = env.number("INGEST_KEY_REQUESTS_PER_SECOND", 2_000, minimum=1, maximum=1_000_000)
INGEST_KEY_EVENTS_PER_SECOND = env.number(
    "INGEST_KEY_EVENTS_PER_SECOND", 200_000, minimum=EVENT_BATCH_LIMIT, maximum=100_000_000
)
INGEST_ORGANIZATION_REQUESTS_PER_SECOND = env.number(
    "INGEST_ORGANIZATION_REQUESTS_PER_SECOND", 5_000, minimum=1, maximum=1_000_000
)
INGEST_ORGANIZATION_EVENTS_PER_SECOND = env.number(
    "INGEST_ORGANIZATION_EVENTS_PER_SECOND", 500_000, minimum=EVENT_BATCH_LIMIT, maximum=100_000_000
)
# Past these bounds of what waits to be settled, new usage is put off: of all organizations, and of the one that sends.
INBOX_MAX_EVENTS = env.number("INBOX_MAX_EVENTS", 4_000_000, minimum=1, maximum=1_000_000_000)
INBOX_ORGANIZATION_MAX_EVENTS = env.number("INBOX_ORGANIZATION_MAX_EVENTS", 2_000_000, minimum=1, maximum=1_000_000_000)
INBOX_MAX_AGE_SECONDS = env.number("INBOX_MAX_AGE_SECONDS", 900, minimum=60, maximum=7 * 86_400)
# How often each process writes down what it turned away, and where keys were used from; a process that is killed loses
# what it noted since.
INTAKE_COUNT_SECONDS = 5
# Files of usage: how large one may be, and how far back rows may reach where whoever imports allows older ones.
IMPORT_FILE_LIMIT = 50 * 1024 * 1024
IMPORT_MAX_AGE_DAYS = 400

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["tenants.authentication.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["tenants.authentication.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["common.api.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "common.api.problem_handler",
    "UNAUTHENTICATED_USER": None,
    "COERCE_DECIMAL_TO_STRING": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "CostHub API",
    "VERSION": "1",
    "DESCRIPTION": "Usage in, spend out, budgets, alerts. Money is a decimal string in USD, time is RFC 3339 in UTC.",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": [],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "ENUM_NAME_OVERRIDES": {
        "DeliveryStatusEnum": "alerts.models.DeliveryStatus",
        "BudgetStatusEnum": "budgets.selectors.Status",
        "BudgetScopeEnum": "budgets.models.Scope",
        "RepricingStateEnum": "corrections.models.RunState",
        "ReportedKindEnum": ["refund", "correction", "status", "usage"],
        "ReportedStatusEnum": ["ok", "error", "cancelled"],
        "ChannelKindEnum": "alerts.models.ChannelKind",
        "RuleKindEnum": ["percent", "fixed", "custom"],
        "CommitmentKindEnum": ["committed_use", "provisioned"],
        "CredentialStateEnum": "tenants.models.CredentialState",
        "BudgetUnitEnum": ["cost", "tokens", "requests"],
        "BudgetEnforcementEnum": ["none", "soft", "hard"],
        "BudgetActionEnum": ["throttle", "degrade", "approve", "block"],
        "LimitKindEnum": "budgets.models.LimitKind",
        "AlertEventKindEnum": "alerts.models.AlertEventKind",
        "AlertRuleKindEnum": "alerts.rule_kinds.RuleKind",
        "AlertStateEnum": "alerts.models.AlertState",
        "DeliveryActionEnum": "alerts.models.Action",
        "SettableChannelKindEnum": "alerts.models.SETTABLE_KINDS",
        "TeamOrKeyEnum": ["team", "virtual_key"],
        "BudgetPeriodEnum": [*(kind.value for kind in PeriodKind), "rolling", "total"],
    },
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{levelname} {name} {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.text("LOG_LEVEL", "INFO")},
    "loggers": {"django.request": {"level": "ERROR"}, "django.security.DisallowedHost": {"level": "CRITICAL"}},
}
