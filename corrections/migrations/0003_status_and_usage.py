"""What callers report of an event besides money: another status, other counts."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("corrections", "0002_reported_adjustments"),
        ("tenants", "0006_closed_months"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="reportedadjustment",
            name="adjustment_changes_something",
        ),
        migrations.AddField(
            model_name="reportedadjustment",
            name="status",
            field=models.CharField(blank=True, help_text="that the event has from now on", max_length=10),
        ),
        migrations.AddField(
            model_name="reportedadjustment",
            name="usage",
            field=models.JSONField(blank=True, help_text="counts by bucket that the event has from now on", null=True),
        ),
        migrations.AlterField(
            model_name="reportedadjustment",
            name="cost",
            field=models.BigIntegerField(default=0, help_text="difference in nano-USD"),
        ),
        migrations.AddIndex(
            model_name="reportedadjustment",
            index=models.Index(
                condition=models.Q(("kind__in", ("status", "usage"))),
                fields=["organization", "event_time", "event_id", "kind", "-id"],
                name="adjustment_holds",
            ),
        ),
        migrations.AddConstraint(
            model_name="reportedadjustment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("cost__lt", 0), ("kind", "refund"), ("status", ""), ("usage__isnull", True)),
                    models.Q(
                        ("kind", "correction"),
                        ("status", ""),
                        ("usage__isnull", True),
                        models.Q(("cost", 0), _negated=True),
                    ),
                    models.Q(
                        ("cost", 0),
                        ("kind", "status"),
                        ("status__in", ("ok", "error", "cancelled")),
                        ("usage__isnull", True),
                    ),
                    models.Q(("cost", 0), ("kind", "usage"), ("status", ""), ("usage__isnull", False)),
                    _connector="OR",
                ),
                name="adjustment_changes_something",
            ),
        ),
    ]
