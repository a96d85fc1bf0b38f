"""Rules, where their subjects stand, and what became of each alert."""

import django.db.models.deletion
from django.db import migrations, models

import common.ids
from common.tenant_tables import tenant_table


class Migration(migrations.Migration):
    dependencies = [
        ("alerts", "0002_row_security"),
        ("tenants", "0006_closed_months"),
    ]

    operations = [
        migrations.AddField(
            model_name="alert",
            name="about",
            field=models.ForeignKey(
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="alerts.alert",
            ),
        ),
        migrations.AddField(
            model_name="alert",
            name="recovered_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="alert",
            name="snoozed_until",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="alert",
            name="subject",
            field=models.CharField(blank=True, db_default="", max_length=300),
        ),
        migrations.CreateModel(
            name="AlertRule",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        default=common.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("budget_threshold", "Budget threshold"),
                            ("forecast_overrun", "Forecast of an overrun"),
                            ("run_out", "Budget runs out"),
                            ("spend_anomaly", "Unusual spend"),
                            ("cost_per_request_spike", "Dearer requests"),
                            ("cache_hit_drop", "Fewer cache hits"),
                            ("error_spend", "Spend on errors"),
                            ("new_model", "New model"),
                            ("unpriced_usage", "Unpriced usage"),
                            ("key_silent", "Silent key"),
                            ("ingestion_stalled", "Ingestion stalled"),
                            ("price_changed", "Price changed"),
                        ],
                        max_length=40,
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                (
                    "scope_type",
                    models.CharField(
                        choices=[
                            ("organization", "The whole organization"),
                            ("budget", "Budget"),
                            ("team", "Team"),
                            ("virtual_key", "Virtual key"),
                            ("customer", "Customer"),
                            ("feature", "Feature"),
                            ("agent", "Agent"),
                            ("user", "User"),
                            ("model", "Model"),
                            ("tag", "Tag"),
                        ],
                        max_length=20,
                    ),
                ),
                ("scope_value", models.CharField(blank=True, max_length=200)),
                ("tag_name", models.CharField(blank=True, max_length=40)),
                ("parameters", models.JSONField(blank=True, default=dict)),
                (
                    "severity",
                    models.CharField(
                        blank=True,
                        choices=[("info", "Info"), ("warning", "Warning"), ("critical", "Critical")],
                        max_length=10,
                    ),
                ),
                ("enabled", models.BooleanField(default=True)),
                ("muted_until", models.DateTimeField(blank=True, null=True)),
                ("version", models.PositiveIntegerField(default=1)),
                ("created_at", models.DateTimeField()),
                ("created_by", models.CharField(blank=True, max_length=254)),
                ("evaluated_at", models.DateTimeField(blank=True, null=True)),
                ("deleted_at", models.DateTimeField(blank=True, null=True)),
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
        migrations.AddField(
            model_name="alert",
            name="rule",
            field=models.ForeignKey(
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="alerts.alertrule",
            ),
        ),
        migrations.CreateModel(
            name="RuleChannel",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        default=common.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "channel",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="alerts.channel",
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
                (
                    "rule",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="alerts.alertrule",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="RuleStanding",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        default=common.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("subject", models.CharField(max_length=300)),
                (
                    "phase",
                    models.CharField(
                        choices=[
                            ("ok", "ok"),
                            ("firing", "firing"),
                            ("acknowledged", "acknowledged"),
                            ("recovered", "recovered"),
                        ],
                        max_length=20,
                    ),
                ),
                ("period", models.CharField(blank=True, max_length=100)),
                ("turning_since", models.DateTimeField(null=True)),
                ("seen_at", models.DateTimeField(null=True)),
                (
                    "alert",
                    models.ForeignKey(
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="alerts.alert",
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
                (
                    "rule",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="alerts.alertrule",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="AlertEvent",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        default=common.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("at", models.DateTimeField()),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("fired", "Fired"),
                            ("fired_again", "Fired again"),
                            ("acknowledged", "Acknowledged"),
                            ("snoozed", "Snoozed"),
                            ("reminded", "Told again after a snooze"),
                            ("recovered", "Recovered"),
                            ("ended", "Ended"),
                        ],
                        max_length=20,
                    ),
                ),
                ("by", models.CharField(blank=True, max_length=254)),
                ("note", models.CharField(blank=True, max_length=200)),
                (
                    "alert",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="alerts.alert",
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
                "indexes": [models.Index(fields=["organization", "alert", "at"], name="alert_event_of_alert")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "kind__in",
                                ["fired", "fired_again", "acknowledged", "snoozed", "reminded", "recovered", "ended"],
                            )
                        ),
                        name="alert_event_kind_known",
                    )
                ],
            },
        ),
        migrations.AddConstraint(
            model_name="alertrule",
            constraint=models.UniqueConstraint(
                condition=models.Q(("deleted_at__isnull", True)),
                fields=("organization", "name"),
                name="rule_name_unique_in_organization",
            ),
        ),
        migrations.AddConstraint(
            model_name="alertrule",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "kind__in",
                        [
                            "budget_threshold",
                            "forecast_overrun",
                            "run_out",
                            "spend_anomaly",
                            "cost_per_request_spike",
                            "cache_hit_drop",
                            "error_spend",
                            "new_model",
                            "unpriced_usage",
                            "key_silent",
                            "ingestion_stalled",
                            "price_changed",
                        ],
                    )
                ),
                name="rule_kind_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="alertrule",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "scope_type__in",
                        [
                            "organization",
                            "budget",
                            "team",
                            "virtual_key",
                            "customer",
                            "feature",
                            "agent",
                            "user",
                            "model",
                            "tag",
                        ],
                    )
                ),
                name="rule_scope_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="alertrule",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("severity__in", ["info", "warning", "critical"]),
                    models.Q(("kind", "budget_threshold"), ("severity", "")),
                    _connector="OR",
                ),
                name="rule_severity_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="alertrule",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("scope_type", "tag"), models.Q(("tag_name", ""), _negated=True)),
                    models.Q(models.Q(("scope_type", "tag"), _negated=True), ("tag_name", "")),
                    _connector="OR",
                ),
                name="rule_tag_named_for_tags_only",
            ),
        ),
        migrations.AddConstraint(
            model_name="alertrule",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("scope_type", "organization"), _negated=True), ("scope_value", ""), _connector="OR"
                ),
                name="rule_of_all_has_no_value",
            ),
        ),
        migrations.AddConstraint(
            model_name="rulechannel",
            constraint=models.UniqueConstraint(
                fields=("organization", "rule", "channel"), name="rule_names_a_channel_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="rulestanding",
            constraint=models.UniqueConstraint(
                fields=("organization", "rule", "subject"), name="standing_once_per_rule_and_subject"
            ),
        ),
        migrations.AddConstraint(
            model_name="rulestanding",
            constraint=models.CheckConstraint(
                condition=models.Q(("phase__in", ["ok", "firing", "acknowledged", "recovered"])),
                name="standing_phase_known",
            ),
        ),
        tenant_table("alerts_alertrule"),
        tenant_table(
            "alerts_rulechannel", references=[("rule_id", "alerts_alertrule"), ("channel_id", "alerts_channel")]
        ),
        tenant_table("alerts_rulestanding", references=[("rule_id", "alerts_alertrule"), ("alert_id", "alerts_alert")]),
        tenant_table("alerts_alertevent", references=[("alert_id", "alerts_alert")], immutable=True),
        migrations.RunSQL(
            [
                f"ALTER TABLE alerts_alert ADD CONSTRAINT alerts_alert_{column}_same_organization"
                f" FOREIGN KEY (organization_id, {column}) REFERENCES {target} (organization_id, id)"
                for column, target in (("rule_id", "alerts_alertrule"), ("about_id", "alerts_alert"))
            ],
            migrations.RunSQL.noop,
        ),
    ]
