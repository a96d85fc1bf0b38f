"""Northwind AI, the company of the demo: its teams, people, workloads and budgets. Plain data.

Days are counted from the organization's first day (0); the first run of the demo happens on day 90.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from common.periods import PeriodKind
from tenants.roles import Role

SLUG = "demo"
NAME = "Northwind AI"
ZONE = "America/New_York"
HISTORY_DAYS = 90
OWNER = ("demo@costhub.local", "Dana Whitfield")
PLAYGROUND_KEY = "playground"

# slug → (name, slug of the parent); parents first.
TEAMS: Mapping[str, tuple[str, str | None]] = {
    "product": ("Product", None),
    "assistant": ("Assistant", "product"),
    "search": ("Search", "product"),
    "engineering": ("Engineering", None),
    "developer-experience": ("Developer Experience", "engineering"),
    "platform": ("Platform", "engineering"),
    "data-ai": ("Data & AI", "engineering"),
    "research": ("Research", None),
    "customer-operations": ("Customer Operations", None),
    "support": ("Support", "customer-operations"),
    "sales": ("Sales", "customer-operations"),
    "marketing": ("Marketing", None),
}

# (email, name, role, teams a manager looks after)
MEMBERS: tuple[tuple[str, str, Role, tuple[str, ...]], ...] = (
    ("amir.haddad@northwind.example", "Amir Haddad", Role.ADMIN, ()),
    ("grace.okafor@northwind.example", "Grace Okafor", Role.FINANCE, ()),
    ("lena.brandt@northwind.example", "Lena Brandt", Role.MANAGER, ("engineering",)),
    ("tomas.rivera@northwind.example", "Tomás Rivera", Role.MANAGER, ("customer-operations",)),
    ("yuki.tanaka@northwind.example", "Yuki Tanaka", Role.VIEWER, ()),
)

Model = tuple[str, str]  # provider and model, as an application would report them
Shares = Mapping[Model, float]

GPT_55: Model = ("openai", "gpt-5.5")
GPT_56_SOL: Model = ("openai", "gpt-5.6-sol")
GPT_56_TERRA: Model = ("openai", "gpt-5.6-terra")
GPT_56_LUNA: Model = ("openai", "gpt-5.6-luna")
GPT_5_MINI: Model = ("openai", "gpt-5-mini")
GPT_41_NANO: Model = ("openai", "gpt-4.1-nano")
EMBEDDING: Model = ("openai", "text-embedding-3-small")
OPUS_48: Model = ("anthropic", "claude-opus-4-8")
OPUS_55: Model = ("anthropic", "claude-opus-5-5")
SONNET_46: Model = ("anthropic", "claude-sonnet-4-6")
SONNET_55: Model = ("anthropic", "claude-sonnet-5-5")
HAIKU_45: Model = ("anthropic", "claude-haiku-4-5")
HAIKU_55: Model = ("anthropic", "claude-haiku-5-5")
GEMINI_31_PRO: Model = ("google", "gemini-3.1-pro-preview")
GEMINI_35_FLASH: Model = ("google", "gemini-3.5-flash")
GEMINI_38_FLASH: Model = ("google", "gemini-3.8-flash")
MISTRAL_MEDIUM: Model = ("mistral", "mistral-medium-3-5")
MISTRAL_SMALL: Model = ("mistral", "mistral-small-2603")
CODESTRAL: Model = ("mistral", "codestral-2508")
DEEPSEEK_PRO: Model = ("deepseek", "deepseek-v4-pro")
# Fine-tuned and served by Northwind itself: nobody lists a price for it.
OWN_MODEL: Model = ("vllm", "northwind-support-8b")


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How a day's calls spread over its local hours, and how much of a weekday's traffic a weekend day has."""

    hours: tuple[int, ...]
    weekend: float


OFFICE = Rhythm((0, 0, 0, 0, 0, 0, 1, 3, 8, 14, 17, 16, 11, 13, 17, 17, 14, 9, 4, 3, 2, 2, 1, 0), 0.08)
CUSTOMERS = Rhythm((3, 2, 2, 2, 2, 3, 5, 8, 11, 14, 15, 15, 14, 14, 15, 14, 13, 12, 11, 11, 10, 8, 6, 4), 0.55)
NIGHTLY = Rhythm((2, 20, 34, 26, 10, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1), 1.0)
STEADY = Rhythm((1,) * 24, 0.9)


@dataclass(frozen=True, slots=True)
class Migration:
    """From `day` on, calls move to other models, all of them within `over` days."""

    day: int
    over: int
    to: Shares


@dataclass(frozen=True, slots=True)
class Workload:
    """What one virtual key is used for. Token counts are medians per call; shares are from 0 to 1."""

    key: str
    team: str
    per_day: float  # events on a weekday of the first weeks
    models: Shares
    input: int
    output: int
    rhythm: Rhythm = OFFICE
    growth: float = 0.6  # by how much traffic has grown after 90 days
    cached: float = 0.0  # of the input, read from the provider's cache
    reasoning: float = 0.0  # of the output
    errors: float = 0.012
    own_cache: float = 0.0  # of the calls, answered by a semantic cache of Northwind's own
    first_day: int = 0
    migration: Migration | None = None
    operation: str = "chat"
    feature: str = ""
    agent: str = ""
    helpers: tuple[str, ...] = ()  # agents that a run of `agent` calls in turn
    customers: tuple[str, ...] = ()
    people: int = 0
    events_per_run: int = 1  # events that share a trace and a session
    requests: int = 1  # calls that the gateway reports as one event
    env: str = "prod"


_CUSTOMERS = ("acme", "contoso", "fabrikam", "initech", "umbrella", "wayne-retail", "tyrell", "hooli")

WORKLOADS: tuple[Workload, ...] = (
    Workload(
        "assistant-web", "assistant", 62, {GPT_55: 0.7, GPT_5_MINI: 0.3}, 5200, 620, CUSTOMERS, 0.9, 0.55, 0.2,
        migration=Migration(52, 14, {GPT_56_TERRA: 0.75, GPT_56_LUNA: 0.25}), own_cache=0.04,
        feature="chat", customers=_CUSTOMERS, events_per_run=4, requests=12,
    ),
    Workload(
        "assistant-mobile", "assistant", 40, {GPT_5_MINI: 1}, 3100, 410, CUSTOMERS, 1.1, 0.5, 0.1,
        migration=Migration(60, 10, {GPT_56_LUNA: 1}), feature="chat", customers=_CUSTOMERS,
        events_per_run=3, requests=10,
    ),
    Workload(
        "assistant-voice", "assistant", 22, {GEMINI_35_FLASH: 1}, 2400, 260, CUSTOMERS, 0.8, 0.3,
        migration=Migration(44, 20, {GEMINI_38_FLASH: 1}), feature="voice", customers=_CUSTOMERS[:4],
    ),
    Workload("assistant-evals", "assistant", 16, {SONNET_46: 0.5, GPT_55: 0.5}, 7800, 900, NIGHTLY, 0.2, 0.35, 0.2,
             migration=Migration(62, 4, {SONNET_55: 0.5, GPT_56_SOL: 0.5}), agent="judge", env="staging"),
    Workload("search-answers", "search", 58, {GEMINI_35_FLASH: 0.8, GEMINI_31_PRO: 0.2}, 8600, 380, CUSTOMERS, 0.7,
             0.42, migration=Migration(38, 16, {GEMINI_38_FLASH: 0.8, GEMINI_31_PRO: 0.2}), own_cache=0.08,
             feature="answers", requests=6),
    Workload("search-rerank", "search", 22, {GPT_41_NANO: 1}, 2900, 24, CUSTOMERS, 0.7, feature="rerank"),
    Workload("search-embeddings", "search", 20, {EMBEDDING: 1}, 18000, 0, STEADY, 0.5, errors=0.004,
             operation="embeddings", feature="index"),
    Workload("search-query-rewrite", "search", 18, {MISTRAL_SMALL: 1}, 620, 60, CUSTOMERS, 0.6, feature="rewrite"),
    Workload(
        "coding-agents", "developer-experience", 66, {OPUS_48: 0.45, SONNET_46: 0.55}, 62000, 1500, OFFICE, 1.0, 0.86,
        migration=Migration(48, 12, {OPUS_55: 0.6, SONNET_55: 0.4}), agent="coder", helpers=("explorer", "tester"),
        people=24, events_per_run=4, requests=8,
    ),
    Workload("code-completion", "developer-experience", 40, {CODESTRAL: 1}, 2100, 48, OFFICE, 0.3, 0.2,
             feature="completion", people=31, operation="completion"),
    Workload("code-review", "developer-experience", 24, {SONNET_46: 1}, 21000, 1100, OFFICE, 0.5, 0.4,
             migration=Migration(55, 8, {SONNET_55: 1}), agent="reviewer", people=24, requests=3),
    Workload("ci-triage", "developer-experience", 14, {HAIKU_45: 1}, 9400, 420, STEADY, 0.4, 0.2,
             migration=Migration(70, 1, {HAIKU_55: 1}), agent="triage", env="ci"),
    Workload("incident-summaries", "platform", 6, {GPT_5_MINI: 1}, 12500, 520, STEADY, 0.1, agent="on-call"),
    Workload("log-clustering", "platform", 18, {DEEPSEEK_PRO: 1}, 14000, 340, NIGHTLY, 0.5, 0.3, feature="logs"),
    Workload("terraform-copilot", "platform", 9, {SONNET_46: 1}, 15500, 900, OFFICE, 0.2, 0.5, people=7,
             migration=Migration(58, 5, {SONNET_55: 1})),
    Workload("sql-copilot", "data-ai", 20, {GPT_55: 1}, 6800, 520, OFFICE, 0.4, 0.45, 0.3, people=12, feature="sql",
             migration=Migration(65, 10, {GPT_56_TERRA: 1})),
    Workload("document-extraction", "data-ai", 38, {GEMINI_35_FLASH: 1}, 11000, 700, NIGHTLY, 0.9, feature="extraction",
             migration=Migration(41, 9, {GEMINI_38_FLASH: 1}), customers=_CUSTOMERS[:5], requests=8),
    Workload("labelling", "data-ai", 26, {MISTRAL_MEDIUM: 1}, 2600, 90, NIGHTLY, 0.2, feature="labelling", env="batch"),
    Workload("deep-research", "research", 12, {GPT_55: 0.6, OPUS_48: 0.4}, 38000, 2600, OFFICE, 0.3, 0.5, 0.45,
             migration=Migration(54, 10, {GPT_56_SOL: 0.6, OPUS_55: 0.4}), agent="researcher",
             helpers=("searcher", "writer"), people=6, events_per_run=3, requests=3),
    Workload("paper-reader", "research", 8, {GEMINI_31_PRO: 1}, 52000, 1200, OFFICE, 0.1, 0.2, people=6),
    Workload("prompt-lab", "research", 10, {OPUS_48: 0.3, GPT_55: 0.3, DEEPSEEK_PRO: 0.4}, 3900, 1000, OFFICE, 0.0,
             reasoning=0.3, people=6, env="staging"),
    Workload("support-bot", "support", 66, {HAIKU_45: 0.75, SONNET_46: 0.25}, 5400, 340, CUSTOMERS, 0.5, 0.6,
             migration=Migration(56, 18, {HAIKU_55: 0.8, SONNET_55: 0.2}), own_cache=0.06, feature="support-bot",
             customers=_CUSTOMERS, events_per_run=3, requests=20),
    Workload("support-own-model", "support", 26, {OWN_MODEL: 1}, 4100, 300, CUSTOMERS, 0.0, first_day=68,
             feature="support-bot", customers=_CUSTOMERS),
    Workload("ticket-triage", "support", 28, {GPT_41_NANO: 0.6, MISTRAL_SMALL: 0.4}, 1500, 40, CUSTOMERS, 0.4,
             feature="triage", requests=10),
    Workload("call-summaries", "sales", 18, {GPT_5_MINI: 1}, 14500, 640, OFFICE, 0.5, feature="call-summaries",
             migration=Migration(72, 6, {GPT_56_LUNA: 1}), people=9),
    Workload("lead-research", "sales", 9, {GEMINI_31_PRO: 1}, 16800, 980, OFFICE, 0.5, agent="prospector", people=9,
             events_per_run=5),
    Workload("email-drafts", "sales", 20, {MISTRAL_MEDIUM: 1}, 1900, 320, OFFICE, 0.2, feature="email", people=9),
    Workload("campaign-copy", "marketing", 14, {SONNET_46: 0.5, GPT_55: 0.5}, 2800, 1250, OFFICE, 0.3, people=5,
             migration=Migration(57, 8, {SONNET_55: 0.5, GPT_56_TERRA: 0.5}), feature="copy"),
    Workload("translation", "marketing", 12, {MISTRAL_MEDIUM: 1}, 3300, 3100, OFFICE, 0.4, feature="translation",
             requests=6),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Incident:
    """An agent that talks to itself from `hour` (local) on, its context growing with every turn."""

    key: str = "deep-research"
    model: Model = GPT_55
    agent: str = "researcher"
    hour: int = 19
    hours: int = 17
    calls: int = 1500
    first_input: int = 20_000
    last_input: int = 210_000
    output: int = 1_900


INCIDENT = Incident()


@dataclass(frozen=True, slots=True)
class Plan:
    """A budget: `scope` is "" for the organization, else a team's slug or, for keys, "key:" and the key's name."""

    name: str
    scope: str
    period: PeriodKind
    usd: str
    thresholds: tuple[int, ...] = (50, 80, 100)


PLANS: tuple[Plan, ...] = (
    Plan("Northwind, all of it", "", PeriodKind.MONTH, "4500"),
    Plan("Product", "product", PeriodKind.MONTH, "1000"),
    Plan("Engineering", "engineering", PeriodKind.MONTH, "2700"),
    Plan("Developer Experience", "developer-experience", PeriodKind.MONTH, "1450"),
    Plan("Research", "research", PeriodKind.MONTH, "400"),
    Plan("Customer Operations", "customer-operations", PeriodKind.MONTH, "450"),
    Plan("Marketing", "marketing", PeriodKind.MONTH, "120"),
    Plan("Assistant, weekly", "assistant", PeriodKind.WEEK, "180", (80, 100)),
    Plan("Support, weekly", "support", PeriodKind.WEEK, "60", (80, 100)),
    Plan("Coding agents, daily", "key:coding-agents", PeriodKind.DAY, "110", (100,)),
    Plan("Deep research, daily", "key:deep-research", PeriodKind.DAY, "40", (80, 100)),
)
