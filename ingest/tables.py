"""The SQL of the inbox and the claims, applied by migrations."""

# Ids are compared byte by byte. No foreign key: row security pins the organization, and a check per event would cost
# more than the claim itself.
CREATE_CLAIM = """
CREATE TABLE ingest_claim (
    organization_id bigint NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    digest bytea NOT NULL,
    claimed_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, event_id)
)
"""
INDEX_CLAIM = "CREATE INDEX ingest_claim_by_age ON ingest_claim USING brin (claimed_at)"

# A queue: every row is inserted once and deleted soon, so the table is vacuumed early and often.
CREATE_INBOX = """
CREATE TABLE ingest_inbox (
    organization_id bigint NOT NULL,
    id bigint NOT NULL,
    received_at timestamptz NOT NULL,
    virtual_key_id bigint NOT NULL,
    events integer NOT NULL,
    payload bytea NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    not_before timestamptz NOT NULL,
    error text NOT NULL DEFAULT '',
    PRIMARY KEY (organization_id, id),
    CONSTRAINT ingest_inbox_never_empty CHECK (events > 0)
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 1000)
"""

# Sums of what settling took in, and of what was turned away before (see `ingest.turned_away` for how exact).
CREATE_INTAKE = """
CREATE TABLE ingest_intake (
    organization_id bigint NOT NULL,
    hour timestamptz NOT NULL,
    source text NOT NULL,
    virtual_key_id bigint NOT NULL,
    batches bigint NOT NULL,
    events bigint NOT NULL,
    last_received_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, hour, source, virtual_key_id)
) WITH (fillfactor = 70)
"""
CREATE_TURNED_AWAY = """
CREATE TABLE ingest_turned_away (
    organization_id bigint NOT NULL,
    hour timestamptz NOT NULL,
    source text NOT NULL,
    credential_id bigint NOT NULL,
    reason text NOT NULL,
    requests bigint NOT NULL,
    events bigint NOT NULL,
    PRIMARY KEY (organization_id, hour, source, credential_id, reason)
) WITH (fillfactor = 70)
"""
# The rate of the last minute: the minute that runs, and the one before it.
ADD_MINUTES = """
ALTER TABLE ingest_progress ADD COLUMN minute timestamptz NOT NULL DEFAULT 'epoch',
    ADD COLUMN minute_events bigint NOT NULL DEFAULT 0, ADD COLUMN minute_before bigint NOT NULL DEFAULT 0
"""

# Events settled in the 60 seconds before `at`, taking those of the minute before this one as evenly spread.
_LAST_MINUTE = (
    "CASE minute"
    " WHEN date_trunc('minute', {at}) THEN minute_events + minute_before * (60 - extract(second FROM {at})) / 60"
    " WHEN date_trunc('minute', {at}) - interval '1 minute' THEN minute_events * (60 - extract(second FROM {at})) / 60"
    " ELSE 0 END"
)
LAST_MINUTE = _LAST_MINUTE.format(at="%(at)s::timestamptz")
LAST_MINUTE_OF_DOOR = _LAST_MINUTE.format(at="at")

# One row per organization: how far settling got.
CREATE_PROGRESS = """
CREATE TABLE ingest_progress (
    organization_id bigint NOT NULL PRIMARY KEY,
    settled_at timestamptz NOT NULL,
    settled_events bigint NOT NULL
) WITH (fillfactor = 50)
"""

# Before a batch was set aside it is due whatever the time, so that a clock which is set back delays nothing.
# The whole of accepting a batch in one round trip: names the organization, claims every id and stores the batch. False,
# and nothing done, when one of the ids is known. With the caller's rights, so that row security binds it.
# `ids` are separated by spaces (which no id contains), `digests` are 16 bytes each in the same order.
CREATE_ACCEPT = """
CREATE OR REPLACE FUNCTION ingest_accept(organization bigint, batch bigint, virtual_key bigint, came_by text,
    at timestamptz, ids text, digests bytea, batch_payload bytea) RETURNS boolean LANGUAGE plpgsql AS $body$
DECLARE
    claims text[] := string_to_array(ids, ' ');
BEGIN
    PERFORM set_config('costhub.organization', organization::text, true);
    INSERT INTO public.ingest_claim (organization_id, event_id, digest, claimed_at)
        SELECT organization, claim.id, substr(digests, (claim.number::int - 1) * 16 + 1, 16), at
        FROM unnest(claims) WITH ORDINALITY AS claim (id, number);
    INSERT INTO public.ingest_inbox
        (organization_id, id, received_at, not_before, virtual_key_id, source, events, payload)
        VALUES (organization, batch, at, 'epoch', virtual_key, came_by, cardinality(claims), batch_payload);
    RETURN true;
EXCEPTION WHEN unique_violation THEN
    RETURN false;
END $body$
"""

# Spans whose usage is billed by what is below them; kept as long as claims.
CREATE_COVERED_SPAN = """
CREATE TABLE ingest_covered_span (
    organization_id bigint NOT NULL,
    span text COLLATE "C" NOT NULL,
    noted_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, span)
)
"""
