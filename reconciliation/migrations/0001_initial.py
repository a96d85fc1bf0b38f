"""Bills of providers and the differences that were accepted."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import common.ids
from common.tenant_tables import tenant_table


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("tenants", "0005_optional_fields"),
    ]

    operations = [
        migrations.CreateModel(
            name="BilledDay",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        default=common.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("provider", models.CharField(max_length=200)),
                ("day", models.DateField()),
                ("source", models.CharField(choices=[("costs", "Costs"), ("usage", "Usage")], max_length=10)),
                ("digest", models.CharField(max_length=64)),
                ("uploaded_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("uploaded_by", models.CharField(max_length=254)),
                ("superseded_at", models.DateTimeField(blank=True, null=True)),
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
        ),
        migrations.CreateModel(
            name="BilledLine",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        default=common.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("model", models.CharField(blank=True, max_length=200)),
                ("line_item", models.CharField(blank=True, max_length=200)),
                ("amount", models.BigIntegerField(default=0)),
                ("input_tokens", models.BigIntegerField(default=0)),
                ("output_tokens", models.BigIntegerField(default=0)),
                (
                    "billed_day",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="reconciliation.billedday",
                    ),
                ),
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
        ),
        migrations.CreateModel(
            name="AcceptedDifference",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        default=common.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("provider", models.CharField(max_length=200)),
                ("day", models.DateField()),
                ("model", models.CharField(blank=True, max_length=200)),
                ("amount", models.BigIntegerField()),
                ("note", models.CharField(blank=True, max_length=200)),
                ("accepted_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("accepted_by", models.CharField(max_length=254)),
                ("undone_at", models.DateTimeField(blank=True, null=True)),
                ("undone_by", models.CharField(blank=True, max_length=254)),
                (
                    "organization",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="tenants.organization",
                    ),
                ),
                (
                    "team",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="tenants.team",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["organization", "provider", "day"], name="accepted_by_day")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("amount", 0), _negated=True), name="accepted_difference_is_one"
                    )
                ],
            },
        ),
        migrations.AddConstraint(
            model_name="billedday",
            constraint=models.UniqueConstraint(
                condition=models.Q(("superseded_at__isnull", True)),
                fields=("organization", "provider", "day", "source"),
                name="billed_day_has_one_current_version",
            ),
        ),
        migrations.AddConstraint(
            model_name="billedline",
            constraint=models.CheckConstraint(
                condition=models.Q(("input_tokens__gte", 0), ("output_tokens__gte", 0)), name="billed_tokens_counted"
            ),
        ),
        tenant_table("reconciliation_billedday"),
        tenant_table("reconciliation_billedline", references=[("billed_day_id", "reconciliation_billedday")]),
        tenant_table("reconciliation_accepteddifference", references=[("team_id", "tenants_team")]),
    ]
