"""The SQL of the usage tables, applied by migrations. Column order is what `usage.store` packs: change both."""

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
_MEASURE_COLUMNS = ", ".join(
    f"{name} {'numeric(40)' if name in ('list_cost', 'cost') else 'bigint'} NOT NULL" for name in MEASURES
)


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

# Few rows, asked for often: what has no price yet.
INDEX_UNPRICED = "CREATE INDEX usage_event_unpriced ON usage_event (organization_id, time) WHERE cost IS NULL"

# Rows of the current bucket are updated over and over: room on the page keeps those updates off the indexes.
CREATE_ROLLUP = (
    f"CREATE TABLE usage_rollup (organization_id bigint NOT NULL, dimension text NOT NULL,"
    f" bucket timestamptz NOT NULL, value text NOT NULL, {_MEASURE_COLUMNS},"
    " PRIMARY KEY (organization_id, dimension, bucket, value)) WITH (fillfactor = 70)"
)
CREATE_CUBE = (
    f"CREATE TABLE usage_cube (organization_id bigint NOT NULL, bucket timestamptz NOT NULL, team_id bigint NOT NULL,"
    f" virtual_key_id bigint NOT NULL, provider text NOT NULL, model text NOT NULL, {_MEASURE_COLUMNS},"
    " PRIMARY KEY (organization_id, bucket, team_id, virtual_key_id, provider, model)) WITH (fillfactor = 70)"
)

# Makes the partition of a month where it is missing. Runs with the owner's rights, because the application owns
# nothing; a partition gets no rights of its own, so that its rows are reached through the parent's row security only.
MAKE_PARTITION = """
CREATE FUNCTION usage_make_partition(month date) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public AS $body$
DECLARE
    first date := date_trunc('month', month)::date;
    name text := 'usage_event_' || to_char(first, 'YYYY_MM');
BEGIN
    IF first < date '2015-01-01' OR first > (now() + interval '25 months')::date THEN
        RAISE EXCEPTION 'no partition for %', first;
    END IF;
    IF to_regclass('public.' || name) IS NOT NULL THEN RETURN false; END IF;
    PERFORM pg_advisory_xact_lock(hashtext('usage_make_partition'));
    IF to_regclass('public.' || name) IS NOT NULL THEN RETURN false; END IF;
    EXECUTE format('CREATE TABLE public.%I (LIKE public.usage_event INCLUDING ALL)', name);
    EXECUTE format('ALTER TABLE public.usage_event ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
        name, first::timestamp AT TIME ZONE 'UTC', (first + interval '1 month')::timestamp AT TIME ZONE 'UTC');
    EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE public.%I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format('REVOKE ALL ON public.%I FROM costhub_app', name);
    RETURN true;
END $body$
"""
