"""Networks that virtual keys are used from. That no address is ever kept is a rule of the table."""

from django.db import migrations, models

from common.tenant_tables import tenant_table

CREATE_KEY_NETWORK = """
CREATE TABLE usage_key_network (
    organization_id bigint NOT NULL,
    virtual_key_id bigint NOT NULL,
    network text COLLATE "C" NOT NULL,
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    appeared_at timestamptz NOT NULL,
    days integer NOT NULL,
    PRIMARY KEY (organization_id, virtual_key_id, network),
    CONSTRAINT usage_key_network_is_no_address CHECK (
        network = network::cidr::text
        AND masklen(network::cidr) = CASE family(network::cidr) WHEN 4 THEN 24 ELSE 48 END),
    CONSTRAINT usage_key_network_seen_in_order CHECK (
        first_seen_at <= appeared_at AND appeared_at <= last_seen_at AND days > 0)
) WITH (fillfactor = 70)
"""
INDEX_APPEARED = "CREATE INDEX usage_key_network_appeared ON usage_key_network (organization_id, appeared_at)"


class Migration(migrations.Migration):
    dependencies = [("tenants", "0006_closed_months"), ("usage", "0007_status_and_usage")]

    operations = [
        migrations.RunSQL([CREATE_KEY_NETWORK, INDEX_APPEARED], "DROP TABLE usage_key_network"),
        tenant_table(
            "usage_key_network", references=[("virtual_key_id", "tenants_virtualkey")], replace_key=False, cascade=True
        ),
        migrations.CreateModel(
            name="KeyNetwork",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "organization_id", "virtual_key_id", "network", blank=True, editable=False, primary_key=True,
                        serialize=False,
                    ),
                ),
                ("organization_id", models.BigIntegerField()),
                ("virtual_key_id", models.BigIntegerField()),
                ("network", models.TextField()),
                ("first_seen_at", models.DateTimeField()),
                ("last_seen_at", models.DateTimeField()),
                ("appeared_at", models.DateTimeField()),
                ("days", models.IntegerField()),
            ],
            options={"db_table": "usage_key_network", "managed": False},
        ),
    ]  # fmt: skip
