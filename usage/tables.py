"""The SQL of the usage tables, applied by migrations."""

from usage.dimensions import COLUMNS, DETAIL

EVENT_COLUMNS: tuple[tuple[str, str], ...] = (
    ("organization_id", "bigint"),
    ("time", "timestamptz"),
    ("event_id", 'text COLLATE "C"'),
    ("received_at", "timestamptz"),
    ("team_id", "bigint"),
    ("virtual_key_id", "bigint"),
    ("provider", "text"),
    ("model", "text"),
    ("reported_provider", "text"),
    ("reported_model", "text"),
    ("operation", "text"),
    ("service_tier", "text"),
    ("status", "text"),
    ("cache", "text"),
    ("latency_ms", "bigint NULL"),
    ("uncached_input", "bigint"),
    ("cache_read", "bigint"),
    ("cache_write_5m", "bigint"),
    ("cache_write_1h", "bigint"),
    ("output", "bigint"),
    ("reasoning_output", "bigint"),
    ("input_audio", "bigint"),
    ("output_audio", "bigint"),
    ("images", "bigint"),
    ("requests", "bigint"),
    ("list_cost", "bigint NULL"),
    ("cost", "bigint NULL"),
    ("price_id", "bigint NULL"),
    ("unpriced_reason", "text"),
    ("reported_cost", "bigint NULL"),
    ("usage_source", "text"),
    ("customer", "text"),
    ("feature", "text"),
    ("agent", "text"),
    ("end_user", "text"),
    ("trace_id", "text"),
    ("span_id", "text"),
    ("parent_span_id", "text"),
    ("session", "text"),
    ("authorization_id", "text"),
    ("tags", "jsonb NULL"),
    ("tool_calls", "bigint"),
    ("rule_id", "bigint NULL"),
    ("source", "text"),
    ("late", "boolean"),
)

# How many of them the table was first made with.
_FIRST_COLUMNS = 41

MEASURES = (
    "events",
    "requests",
    "errors",
    "unpriced_requests",
    "list_cost",
    "cost",
    "input_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "output_tokens",
    "reasoning_output_tokens",
)
MONEY = ("list_cost", "cost")
_MEASURE_COLUMNS = ", ".join(f"{name} {'numeric(40)' if name in MONEY else 'bigint'} NOT NULL" for name in MEASURES)


TEXT = "text"
_DETAIL_TYPES = {"team_id": "bigint", "virtual_key_id": "bigint", "tags": "jsonb"}
DETAIL_COLUMNS = (*(COLUMNS[dimension] for dimension in DETAIL), "tags")
# The dimensions of a posting, in the order of the view.
POSTING_COLUMNS = (*COLUMNS.values(), "trace_id", "tags")
# Why a figure changed after the event.
ADJUSTMENT_KINDS = ("late", "reprice", "correction", "refund", "status", "usage", "reconciliation", "fee", "undo")

EVENT_MEASURES = {
    "events": "1::bigint",
    "requests": "requests",
    "errors": "CASE WHEN status = 'error' THEN requests ELSE 0 END",
    "unpriced_requests": "CASE WHEN cost IS NULL THEN requests ELSE 0 END",
    "list_cost": "coalesce(list_cost, 0)",
    "cost": "coalesce(cost, 0)",
    "input_tokens": "uncached_input + cache_read + cache_write_5m + cache_write_1h + input_audio",
    "cache_read_input_tokens": "cache_read",
    "cache_write_input_tokens": "cache_write_5m + cache_write_1h",
    "output_tokens": "output + reasoning_output + output_audio",
    "reasoning_output_tokens": "reasoning_output",
}
_NO_TAGS = "coalesce(tags, '{}'::jsonb)"


def event_postings(source: str) -> str:
    """SELECT of the postings of events that `source` (a table or CTE like usage_event) holds; late ones count as
    adjustments."""
    dimensions = ", ".join(_NO_TAGS + " AS tags" if column == "tags" else column for column in POSTING_COLUMNS)
    measures = ", ".join(f"{EVENT_MEASURES[name]} AS {name}" for name in MEASURES)
    columns = f"organization_id, time AS at, time AS happened_at, {dimensions}, {measures}"
    return f"SELECT {columns} FROM {source} WHERE NOT late"


def adjustment_postings(source: str) -> str:
    """The same of adjustments."""
    return (
        "SELECT organization_id, booked_at AS at, coalesce(event_time, booked_at) AS happened_at,"
        f" {', '.join(POSTING_COLUMNS)}, {', '.join(MEASURES)} FROM {source}"
    )


POSTINGS = f"{event_postings('usage_event')} UNION ALL {adjustment_postings('usage_adjustment')}"


def _not_null(name: str, kind: str) -> str:
    return f"{name} {kind}" if kind.endswith("NULL") else f"{name} {kind} NOT NULL"


CREATE_EVENT = (
    f"CREATE TABLE usage_event ({', '.join(_not_null(name, kind) for name, kind in EVENT_COLUMNS[:_FIRST_COLUMNS])},"
    " PRIMARY KEY (organization_id, time, event_id),"
    " CONSTRAINT usage_event_buckets_not_negative CHECK (least(uncached_input, cache_read, cache_write_5m,"
    " cache_write_1h, output, reasoning_output, input_audio, output_audio, images, requests) >= 0),"
    " CONSTRAINT usage_event_unpriced_says_why CHECK ((cost IS NULL) = (unpriced_reason <> '')))"
    " PARTITION BY RANGE (time)"
)

# Columns that came after the first release of the table, in the order of EVENT_COLUMNS.
ADD_EVENT_COLUMNS = (
    "ALTER TABLE usage_event ADD COLUMN tool_calls bigint NOT NULL DEFAULT 0 CHECK (tool_calls >= 0),"
    " ADD COLUMN rule_id bigint, ADD COLUMN source text NOT NULL DEFAULT 'native',"
    " ADD COLUMN late boolean NOT NULL DEFAULT false"
)

# The columns of the row type in which events travel, in the order in which `usage.packing` writes them.
INCOMING_NUMBERS = (
    "latency_ms",
    "uncached_input",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "output",
    "reasoning_output",
    "input_audio",
    "output_audio",
    "images",
    "requests",
    "tool_calls",
    "list_cost",
    "cost",
    "price_id",
    "rule_id",
    "reported_cost",
    "late",
)
INCOMING_NAMES = (
    "provider",
    "model",
    "reported_provider",
    "reported_model",
    "operation",
    "service_tier",
    "status",
    "cache",
    "unpriced_reason",
    "usage_source",
)
INCOMING_COLUMNS: tuple[tuple[str, str], ...] = (
    ("received_at", "timestamptz"),
    ("team_id", "bigint"),
    ("virtual_key_id", "bigint"),
    ("source", "text"),
    ("time", "timestamptz"),
    *((name, "bigint") for name in INCOMING_NUMBERS),
    *((name, "text") for name in (*INCOMING_NAMES, "customer", "feature", "agent", "end_user", "event_id")),
    *((name, "text") for name in ("trace_id", "span_id", "parent_span_id", "session", "authorization_id")),
    ("tags", "jsonb"),
)
CREATE_INCOMING = f"CREATE TYPE usage_incoming AS ({', '.join(f'{name} {kind}' for name, kind in INCOMING_COLUMNS)})"
# What stands for "not known" on the way.
_UNKNOWN = {"latency_ms": -1, "list_cost": -1, "cost": -1, "reported_cost": -1, "price_id": 0, "rule_id": 0}


def _incoming(name: str) -> str:
    if name in _UNKNOWN:
        return f"nullif({name}, {_UNKNOWN[name]})"
    return "late <> 0" if name == "late" else name


# Takes the parameters `organization` and `rows`, an array of usage_incoming.
INSERT_INCOMING = (
    f"INSERT INTO usage_event (organization_id, {', '.join(name for name, _ in INCOMING_COLUMNS)})"
    f" SELECT %(organization)s::bigint, {', '.join(_incoming(name) for name, _ in INCOMING_COLUMNS)}"
    " FROM unnest(%(rows)b::usage_incoming[])"
)

# Few rows, asked for often: what has no price yet.
INDEX_UNPRICED = "CREATE INDEX usage_event_unpriced ON usage_event (organization_id, time) WHERE cost IS NULL"

# Rows of the current bucket are updated over and over: room on the page keeps those updates off the indexes.
_UPDATED = "WITH (fillfactor = 70)"
CREATE_ROLLUP = (
    f"CREATE TABLE usage_rollup (organization_id bigint NOT NULL, dimension text NOT NULL,"
    f" bucket timestamptz NOT NULL, value text NOT NULL, {_MEASURE_COLUMNS},"
    f" PRIMARY KEY (organization_id, dimension, bucket, value)) {_UPDATED}"
)
CREATE_CUBE = (
    f"CREATE TABLE usage_cube (organization_id bigint NOT NULL, bucket timestamptz NOT NULL, team_id bigint NOT NULL,"
    f" virtual_key_id bigint NOT NULL, provider text NOT NULL, model text NOT NULL, {_MEASURE_COLUMNS},"
    f" PRIMARY KEY (organization_id, bucket, team_id, virtual_key_id, provider, model)) {_UPDATED}"
)

# The same by the local day of the organization's zone: what a month of a dashboard reads.
CREATE_ROLLUP_DAY = (
    f"CREATE TABLE usage_rollup_day (organization_id bigint NOT NULL, dimension text NOT NULL,"
    f" day date NOT NULL, value text NOT NULL, {_MEASURE_COLUMNS},"
    f" PRIMARY KEY (organization_id, dimension, day, value)) {_UPDATED}"
)
CREATE_CUBE_DAY = (
    f"CREATE TABLE usage_cube_day (organization_id bigint NOT NULL, day date NOT NULL, team_id bigint NOT NULL,"
    f" virtual_key_id bigint NOT NULL, provider text NOT NULL, model text NOT NULL, {_MEASURE_COLUMNS},"
    f" PRIMARY KEY (organization_id, day, team_id, virtual_key_id, provider, model)) {_UPDATED}"
)
# Every dimension and all tags at once. The key is a digest of them, because an index over fourteen columns would be
# larger than the table.
CREATE_DETAIL = (
    f"CREATE TABLE usage_detail (organization_id bigint NOT NULL, day date NOT NULL, cell uuid NOT NULL,"
    f" {', '.join(f'{column} {_DETAIL_TYPES.get(column, TEXT)} NOT NULL' for column in DETAIL_COLUMNS)},"
    f" {_MEASURE_COLUMNS}, PRIMARY KEY (organization_id, day, cell)) {_UPDATED}"
)
# One row per trace, whenever its calls were made: what a list of traces reads.
CREATE_TRACE = (
    'CREATE TABLE usage_trace (organization_id bigint NOT NULL, trace_id text COLLATE "C" NOT NULL,'
    " first_at timestamptz NOT NULL, last_at timestamptz NOT NULL, session text NOT NULL, customer text NOT NULL,"
    f" end_user text NOT NULL, {_MEASURE_COLUMNS}, PRIMARY KEY (organization_id, trace_id)) {_UPDATED}"
)
INDEX_TRACE = "CREATE INDEX usage_trace_newest ON usage_trace (organization_id, last_at)"
INDEX_EVENT_TRACE = "CREATE INDEX usage_event_trace ON usage_event (organization_id, trace_id) WHERE trace_id <> ''"
INDEX_EVENT_SESSION = "CREATE INDEX usage_event_session ON usage_event (organization_id, session) WHERE session <> ''"

# Which values of a bounded dimension have sums of their own in a month. Rows are only ever added: whether a value was
# among the first never changes, so sums can be made anew from the events and come out the same.
CREATE_VALUE = (
    "CREATE TABLE usage_value (organization_id bigint NOT NULL, dimension text NOT NULL, month date NOT NULL,"
    ' value text COLLATE "C" NOT NULL, PRIMARY KEY (organization_id, dimension, month, value))'
)

# What changes a figure after the event: immutable differences, with the dimensions of what they correct. `booked_at`
# says when it counts: at the event's own time, or now where the month of the event is closed.
KIND_KNOWN = f"CONSTRAINT usage_adjustment_kind_known CHECK (kind IN ({', '.join(map(repr, ADJUSTMENT_KINDS))}))"
CREATE_ADJUSTMENT = (
    "CREATE TABLE usage_adjustment (organization_id bigint NOT NULL, booked_at timestamptz NOT NULL,"
    " id bigint NOT NULL, kind text NOT NULL, reason text NOT NULL, actor text NOT NULL,"
    ' created_at timestamptz NOT NULL, run_id bigint, event_time timestamptz, event_id text COLLATE "C",'
    " price_id bigint, rule_id bigint,"
    f" {', '.join(f'{column} {_DETAIL_TYPES.get(column, TEXT)} NOT NULL' for column in POSTING_COLUMNS)},"
    f" {', '.join(f'{name} bigint NOT NULL' for name in MEASURES)},"
    " PRIMARY KEY (organization_id, booked_at, id),"
    f" {KIND_KNOWN},"
    " CONSTRAINT usage_adjustment_event_is_whole CHECK ((event_time IS NULL) = (event_id IS NULL)))"
    " PARTITION BY RANGE (booked_at)"
)
RENEW_KIND_KNOWN = f"ALTER TABLE usage_adjustment DROP CONSTRAINT usage_adjustment_kind_known, ADD {KIND_KNOWN}"
INDEX_ADJUSTMENT_EVENT = (
    "CREATE INDEX usage_adjustment_event ON usage_adjustment (organization_id, event_time, event_id)"
    " WHERE event_id IS NOT NULL"
)
# A run (a repricing, a fee) books the same thing once, however often it is started again.
INDEX_ADJUSTMENT_RUN = (
    "CREATE UNIQUE INDEX usage_adjustment_once_per_run ON usage_adjustment"
    " (organization_id, booked_at, run_id, kind, event_time, event_id) NULLS NOT DISTINCT WHERE run_id IS NOT NULL"
)

# What every sum is made of, one row per addend. With the reader's rights, so that row security holds through it.
CREATE_POSTING = f"CREATE VIEW usage_posting WITH (security_invoker = true) AS {POSTINGS}"

# Makes the partitions of a month where they are missing. Runs with the owner's rights, because the application owns
# nothing; a partition gets no rights of its own, so that its rows are reached through the parent's row security only.
MAKE_PARTITION = """
CREATE OR REPLACE FUNCTION usage_make_partition(month date) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public AS $body$
DECLARE
    first date := date_trunc('month', month)::date;
    parent text;
    name text;
    made boolean := false;
BEGIN
    IF first < date '2015-01-01' OR first > (now() + interval '25 months')::date THEN
        RAISE EXCEPTION 'no partition for %', first;
    END IF;
    FOREACH parent IN ARRAY ARRAY[{parents}] LOOP
        name := parent || to_char(first, '_YYYY_MM');
        CONTINUE WHEN to_regclass('public.' || name) IS NOT NULL;
        PERFORM pg_advisory_xact_lock(hashtext('usage_make_partition'));
        CONTINUE WHEN to_regclass('public.' || name) IS NOT NULL;
        EXECUTE format('CREATE TABLE public.%I (LIKE public.%I INCLUDING ALL)', name, parent);
        EXECUTE format('ALTER TABLE public.%I ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)', parent, name,
            first::timestamp AT TIME ZONE 'UTC', (first + interval '1 month')::timestamp AT TIME ZONE 'UTC');
        EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE public.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('REVOKE ALL ON public.%I FROM costhub_app', name);
        made := true;
    END LOOP;
    RETURN made;
END $body$
"""


def make_partition_function(*parents: str) -> str:
    """The function for these partitioned tables."""
    return MAKE_PARTITION.replace("{parents}", ", ".join(map(repr, parents)))


# Which months' events are gone. Of all organizations: a month is dropped whole.
CREATE_DROPPED_MONTH = """
CREATE TABLE usage_dropped_month (
    month date NOT NULL PRIMARY KEY CHECK (extract(day FROM month) = 1),
    events bigint NOT NULL,
    dropped_at timestamptz NOT NULL
)
"""

# Drops a month's events with the owner's rights. The application can reach no month that events may still come in for,
# whatever it asks. Nobody sees the rows of a partition, not even its owner, so that is lifted before they are counted.
# Waiting for the lock would hold up every reader and writer of events; whoever calls comes back later instead.
DROP_MONTH = """
CREATE FUNCTION usage_drop_month(month date, keep integer) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public SET lock_timeout = '2s' AS $body$
DECLARE
    first date := date_trunc('month', month)::date;
    name text := 'usage_event_' || to_char(first, 'YYYY_MM');
    number bigint;
BEGIN
    IF keep < 2 OR first >= (date_trunc('month', now() AT TIME ZONE 'UTC') - make_interval(months => keep))::date THEN
        RAISE EXCEPTION 'the events of % are kept', first USING ERRCODE = 'check_violation';
    END IF;
    EXECUTE format('ALTER TABLE public.%I NO FORCE ROW LEVEL SECURITY', name);
    EXECUTE format('SELECT count(*) FROM public.%I', name) INTO number;
    EXECUTE format('DROP TABLE public.%I', name);
    INSERT INTO public.usage_dropped_month AS kept VALUES (first, number, now())
        ON CONFLICT ON CONSTRAINT usage_dropped_month_pkey
        DO UPDATE SET events = kept.events + excluded.events, dropped_at = excluded.dropped_at;
    RETURN number;
END $body$
"""
