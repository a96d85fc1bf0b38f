import django.db.models.deletion
from django.db import migrations, models

import common.ids
from common.tenant_tables import tenant_table


class Migration(migrations.Migration):
    dependencies = [("budgets", "0004_limits_and_thresholds")]

    operations = [
        migrations.CreateModel(
            name="Refusal",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        default=common.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("request_id", models.CharField(max_length=40)),
                ("at", models.DateTimeField()),
                ("virtual_key_id", models.BigIntegerField()),
                ("subject", models.JSONField()),
                (
                    "reason",
                    models.CharField(
                        choices=[
                            ("budget-exceeded", "The budget has no room for it"),
                            ("blocked-at-percent", "The budget blocks from this part of its limit on"),
                            ("approval-required", "The budget asks for approval from this part of its limit on"),
                            ("unpriced-model", "The model has no known price"),
                            ("model-not-allowed", "The model is not on the list of allowed ones"),
                            ("rate-limited", "Too many requests or tokens in this minute"),
                            ("budget-unavailable", "The counters could not be asked"),
                        ],
                        max_length=32,
                    ),
                ),
                ("details", models.JSONField(default=dict)),
                ("shadow", models.BooleanField(default=False)),
                (
                    "budget",
                    models.ForeignKey(
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="budgets.budget",
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
            options={
                "indexes": [
                    models.Index(fields=["organization", "-at"], name="refusal_newest_first"),
                    models.Index(fields=["organization", "request_id"], name="refusal_of_request"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "reason__in",
                                [
                                    "budget-exceeded",
                                    "blocked-at-percent",
                                    "approval-required",
                                    "unpriced-model",
                                    "model-not-allowed",
                                    "rate-limited",
                                    "budget-unavailable",
                                ],
                            )
                        ),
                        name="refusal_reason_known",
                    )
                ],
            },
        ),
        tenant_table("budgets_refusal", references=[("budget_id", "budgets_budget")]),
    ]
