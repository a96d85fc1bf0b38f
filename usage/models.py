"""Tables of usage, made by hand-written SQL (partitions, fill factors, collations) and only read through the ORM."""

from django.db import models


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
