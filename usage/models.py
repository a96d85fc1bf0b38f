"""Tables of usage, made by hand-written SQL (partitions, fill factors, collations) and only read through the ORM."""

from django.db import models
from django.db.models import F, Q
from django.utils.timezone import now as utc_now

from common.models import TenantModel


class Measures(models.Model):
    """What a rollup adds up. Costs are sums of nano-USD, `numeric` because a sum may pass 2^63."""

    events = models.BigIntegerField()
    requests = models.BigIntegerField()
    errors = models.BigIntegerField()
    unpriced_requests = models.BigIntegerField()
    list_cost = models.DecimalField(max_digits=40, decimal_places=0)
    cost = models.DecimalField(max_digits=40, decimal_places=0)
    input_tokens = models.BigIntegerField()
    cache_read_input_tokens = models.BigIntegerField()
    cache_write_input_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    reasoning_output_tokens = models.BigIntegerField()

    class Meta:
        abstract = True


class UsageEvent(models.Model):
    """One model call, as reported and as priced. Partitioned by month of `time`; never updated, never deleted."""

    pk = models.CompositePrimaryKey("organization_id", "time", "event_id")
    organization_id = models.BigIntegerField()
    time = models.DateTimeField()
    event_id = models.TextField()
    received_at = models.DateTimeField()
    team_id = models.BigIntegerField()
    virtual_key_id = models.BigIntegerField()
    # Canonical names where the catalog knows the model; the reported ones stand beside them.
    provider = models.TextField()
    model = models.TextField()
    reported_provider = models.TextField()
    reported_model = models.TextField()
    operation = models.TextField()
    service_tier = models.TextField()
    status = models.TextField()
    cache = models.TextField()
    latency_ms = models.BigIntegerField(null=True)
    uncached_input = models.BigIntegerField()
    cache_read = models.BigIntegerField()
    cache_write_5m = models.BigIntegerField()
    cache_write_1h = models.BigIntegerField()
    output = models.BigIntegerField()
    reasoning_output = models.BigIntegerField()
    input_audio = models.BigIntegerField()
    output_audio = models.BigIntegerField()
    images = models.BigIntegerField()
    requests = models.BigIntegerField()
    list_cost = models.BigIntegerField(null=True)
    cost = models.BigIntegerField(null=True)
    price_id = models.BigIntegerField(null=True)
    unpriced_reason = models.TextField()
    reported_cost = models.BigIntegerField(null=True)
    usage_source = models.TextField()
    customer = models.TextField()
    feature = models.TextField()
    agent = models.TextField()
    end_user = models.TextField()
    trace_id = models.TextField()
    span_id = models.TextField()
    parent_span_id = models.TextField()
    session = models.TextField()
    authorization_id = models.TextField()
    tags = models.JSONField(null=True)
    tool_calls = models.BigIntegerField(default=0)
    rule_id = models.BigIntegerField(null=True)
    source = models.TextField(default="native")
    late = models.BooleanField(default=False)

    class Meta:
        managed = False
        db_table = "usage_event"

    @property
    def input_tokens(self) -> int:
        """All input tokens, cached ones included, as the API counts them."""
        return self.uncached_input + self.cache_read + self.cache_write_5m + self.cache_write_1h + self.input_audio

    @property
    def output_tokens(self) -> int:
        """All output tokens, reasoning included, as the API counts them."""
        return self.output + self.reasoning_output + self.output_audio


class Rollup(Measures):
    """Sums per dimension, value and bucket of time: one small index range per question people ask."""

    pk = models.CompositePrimaryKey("organization_id", "dimension", "bucket", "value")
    organization_id = models.BigIntegerField()
    dimension = models.TextField()
    bucket = models.DateTimeField()
    value = models.TextField()

    class Meta:
        managed = False
        db_table = "usage_rollup"


class Cube(Measures):
    """Sums per team, key, provider and model at once: for filters that cross dimensions."""

    pk = models.CompositePrimaryKey("organization_id", "bucket", "team_id", "virtual_key_id", "provider", "model")
    organization_id = models.BigIntegerField()
    bucket = models.DateTimeField()
    team_id = models.BigIntegerField()
    virtual_key_id = models.BigIntegerField()
    provider = models.TextField()
    model = models.TextField()

    class Meta:
        managed = False
        db_table = "usage_cube"


class RollupDay(Measures):
    """Sums per dimension, value and local day of the organization's zone."""

    pk = models.CompositePrimaryKey("organization_id", "dimension", "day", "value")
    organization_id = models.BigIntegerField()
    dimension = models.TextField()
    day = models.DateField()
    value = models.TextField()

    class Meta:
        managed = False
        db_table = "usage_rollup_day"


class CubeDay(Measures):
    """The cube by local day."""

    pk = models.CompositePrimaryKey("organization_id", "day", "team_id", "virtual_key_id", "provider", "model")
    organization_id = models.BigIntegerField()
    day = models.DateField()
    team_id = models.BigIntegerField()
    virtual_key_id = models.BigIntegerField()
    provider = models.TextField()
    model = models.TextField()

    class Meta:
        managed = False
        db_table = "usage_cube_day"


class Detail(Measures):
    """Sums per local day and every dimension at once, tags included: for filters that cross anything."""

    pk = models.CompositePrimaryKey("organization_id", "day", "cell")
    organization_id = models.BigIntegerField()
    day = models.DateField()
    cell = models.UUIDField()
    provider = models.TextField()
    model = models.TextField()
    team_id = models.BigIntegerField()
    virtual_key_id = models.BigIntegerField()
    operation = models.TextField()
    service_tier = models.TextField()
    status = models.TextField()
    cache = models.TextField()
    customer = models.TextField()
    feature = models.TextField()
    agent = models.TextField()
    end_user = models.TextField()
    tags = models.JSONField()

    class Meta:
        managed = False
        db_table = "usage_detail"


class Trace(Measures):
    """Sums of one trace, whenever its calls were made. Kept as long as its events."""

    pk = models.CompositePrimaryKey("organization_id", "trace_id")
    organization_id = models.BigIntegerField()
    trace_id = models.TextField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    session = models.TextField()
    customer = models.TextField()
    end_user = models.TextField()

    class Meta:
        managed = False
        db_table = "usage_trace"


class Adjustment(Measures):
    """A difference that was booked after the event, or without one (a fee). Never updated, never deleted.

    The measures are differences and may be negative; with an event, its dimensions are repeated here.
    """

    pk = models.CompositePrimaryKey("organization_id", "booked_at", "id")
    organization_id = models.BigIntegerField()
    booked_at = models.DateTimeField()
    id = models.BigIntegerField()
    kind = models.TextField()
    reason = models.TextField()
    actor = models.TextField()
    created_at = models.DateTimeField()
    # The repricing, commitment or import that made it.
    run_id = models.BigIntegerField(null=True)
    event_time = models.DateTimeField(null=True)
    event_id = models.TextField(null=True)
    price_id = models.BigIntegerField(null=True)
    rule_id = models.BigIntegerField(null=True)
    provider = models.TextField()
    model = models.TextField()
    team_id = models.BigIntegerField()
    virtual_key_id = models.BigIntegerField()
    operation = models.TextField()
    service_tier = models.TextField()
    status = models.TextField()
    cache = models.TextField()
    customer = models.TextField()
    feature = models.TextField()
    agent = models.TextField()
    end_user = models.TextField()
    session = models.TextField()
    trace_id = models.TextField()
    tags = models.JSONField(default=dict)

    class Meta:
        managed = False
        db_table = "usage_adjustment"


class ClosedMonth(TenantModel):
    """A local month whose figures were signed off: it never changes again, corrections land in the open one.

    The totals are what was signed, in nano-USD; `usage.verify` proves that the sums still say so.
    """

    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    timezone = models.CharField(max_length=64)
    events = models.BigIntegerField()
    requests = models.BigIntegerField()
    unpriced_requests = models.BigIntegerField()
    list_cost = models.DecimalField(max_digits=40, decimal_places=0)
    cost = models.DecimalField(max_digits=40, decimal_places=0)
    closed_at = models.DateTimeField(default=utc_now)
    closed_by = models.CharField(max_length=254)
    note = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "starts_at"], name="month_is_closed_once"),
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="closed_month_has_days"),
        ]


class KeyNetwork(models.Model):
    """A network, never an address, that a virtual key was used from; see `usage.key_networks`."""

    pk = models.CompositePrimaryKey("organization_id", "virtual_key_id", "network")
    organization_id = models.BigIntegerField()
    virtual_key_id = models.BigIntegerField()
    # A /24 of IPv4 or a /48 of IPv6.
    network = models.TextField()
    first_seen_at = models.DateTimeField()
    # To the hour: within one, a process notes a network once.
    last_seen_at = models.DateTimeField()
    # The first use there ever was, or the first after a long absence.
    appeared_at = models.DateTimeField()
    # Days of UTC with a use.
    days = models.IntegerField()

    class Meta:
        managed = False
        db_table = "usage_key_network"
