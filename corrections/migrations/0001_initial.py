"""Runs of repricing."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import common.ids
from common.tenant_tables import door, tenant_table


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("tenants", "0005_optional_fields"),
    ]

    operations = [
        migrations.CreateModel(
            name="PriceWatch",
            fields=[
                (
                    "organization",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="tenants.organization",
                    ),
                ),
                ("catalog_version", models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="RepriceRun",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        default=common.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("reason", models.CharField(max_length=200)),
                ("starts_at", models.DateTimeField()),
                ("ends_at", models.DateTimeField()),
                ("provider", models.CharField(blank=True, max_length=200)),
                ("model", models.CharField(blank=True, max_length=200)),
                ("unpriced_only", models.BooleanField(default=False)),
                ("apply_at_once", models.BooleanField(default=False)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("previewing", "Working out the preview"),
                            ("previewed", "Preview ready"),
                            ("applying", "Being applied"),
                            ("applied", "Applied"),
                            ("undoing", "Being undone"),
                            ("undone", "Undone"),
                            ("cancelled", "Cancelled"),
                            ("failed", "Failed"),
                        ],
                        default="previewing",
                        max_length=10,
                    ),
                ),
                ("failed_in", models.CharField(blank=True, max_length=10)),
                ("error", models.CharField(blank=True, max_length=500)),
                ("cursor_at", models.DateTimeField(blank=True, null=True)),
                ("cursor_id", models.CharField(blank=True, max_length=200)),
                ("events", models.BigIntegerField(default=0, help_text="in scope")),
                ("events_changed", models.BigIntegerField(default=0, help_text="that would cost something else")),
                (
                    "events_newly_priced",
                    models.BigIntegerField(default=0, help_text="that have no price yet and would get one"),
                ),
                (
                    "events_kept",
                    models.BigIntegerField(default=0, help_text="whose price is no longer known; they keep it"),
                ),
                ("list_cost", models.DecimalField(decimal_places=0, default=0, max_digits=40)),
                ("cost", models.DecimalField(decimal_places=0, default=0, max_digits=40)),
                ("by_team", models.JSONField(blank=True, default=dict)),
                ("by_model", models.JSONField(blank=True, default=dict)),
                ("by_budget", models.JSONField(blank=True, default=dict)),
                ("flips", models.JSONField(blank=True, default=list)),
                ("events_done", models.BigIntegerField(default=0)),
                ("events_booked", models.BigIntegerField(default=0)),
                ("list_cost_booked", models.DecimalField(decimal_places=0, default=0, max_digits=40)),
                ("cost_booked", models.DecimalField(decimal_places=0, default=0, max_digits=40)),
                ("started_by", models.CharField(max_length=254)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("previewed_at", models.DateTimeField(blank=True, null=True)),
                ("applied_at", models.DateTimeField(blank=True, null=True)),
                ("undone_at", models.DateTimeField(blank=True, null=True)),
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
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "state__in",
                                [
                                    "previewing",
                                    "previewed",
                                    "applying",
                                    "applied",
                                    "undoing",
                                    "undone",
                                    "cancelled",
                                    "failed",
                                ],
                            )
                        ),
                        name="reprice_run_state_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("ends_at__gt", models.F("starts_at"))), name="reprice_run_has_a_range"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("failed_in__in", ("previewing", "applying", "undoing")), ("state", "failed")),
                            models.Q(models.Q(("state", "failed"), _negated=True), ("failed_in", "")),
                            _connector="OR",
                        ),
                        name="reprice_run_failed_somewhere",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("state__in", ("previewed", "applying", "applied", "undoing", "undone")), _negated=True
                            ),
                            ("previewed_at__isnull", False),
                            _connector="OR",
                        ),
                        name="reprice_run_is_previewed_first",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "applied"), _negated=True),
                            ("applied_at__isnull", False),
                            _connector="OR",
                        ),
                        name="reprice_run_applied_when",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "undone"), _negated=True),
                            models.Q(("cost_booked", 0), ("events_booked", 0), ("undone_at__isnull", False)),
                            _connector="OR",
                        ),
                        name="reprice_run_undone_whole",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("cursor_at__isnull", True), ("cursor_id", "")),
                            models.Q(("cursor_at__isnull", False), models.Q(("cursor_id", ""), _negated=True)),
                            _connector="OR",
                        ),
                        name="reprice_run_cursor_is_whole",
                    ),
                ],
            },
        ),
        tenant_table("corrections_pricewatch", key=(), replace_key=False),
        tenant_table("corrections_repricerun"),
        door(
            "corrections_organizations_at_work()",
            returns="SETOF bigint",
            body="SELECT DISTINCT organization_id FROM public.corrections_repricerun"
            " WHERE state IN ('previewing', 'applying', 'undoing')",
            reads=["corrections_repricerun"],
        ),
    ]
