"""Refunds and corrections that callers report."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import common.ids
from common.tenant_tables import tenant_table


class Migration(migrations.Migration):
    dependencies = [
        ("corrections", "0001_initial"),
        ("tenants", "0006_closed_months"),
    ]

    operations = [
        migrations.CreateModel(
            name="ReportedAdjustment",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        default=common.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("external_id", models.CharField(max_length=200)),
                ("event_time", models.DateTimeField()),
                ("event_id", models.CharField(max_length=200)),
                ("kind", models.CharField(max_length=10)),
                ("cost", models.BigIntegerField(help_text="difference in nano-USD")),
                ("reason", models.CharField(max_length=200)),
                ("reported_by", models.CharField(max_length=254)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "organization",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="tenants.organization",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("organization", "external_id"), name="adjustment_is_reported_once"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("cost__lt", 0), ("kind", "refund")),
                            models.Q(("kind", "correction"), models.Q(("cost", 0), _negated=True)),
                            _connector="OR",
                        ),
                        name="adjustment_changes_something",
                    ),
                ],
            },
        ),
        tenant_table("corrections_reportedadjustment", immutable=True),
    ]
