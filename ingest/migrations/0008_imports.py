"""Files of usage on their way in."""

import django.db.models.deletion
import django.db.models.expressions
import django.utils.timezone
from django.db import migrations, models

import common.ids
from common.tenant_tables import door, tenant_table


class Migration(migrations.Migration):
    dependencies = [
        ("ingest", "0007_covered_spans"),
        ("tenants", "0005_optional_fields"),
    ]

    operations = [
        migrations.CreateModel(
            name="UsageImport",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        default=common.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(max_length=200)),
                ("digest", models.CharField(max_length=64)),
                ("size", models.BigIntegerField(help_text="bytes")),
                ("rows", models.IntegerField()),
                ("columns", models.JSONField(blank=True, default=list)),
                ("sample", models.JSONField(blank=True, default=list)),
                ("fields", models.JSONField(blank=True, default=list)),
                ("provider", models.CharField(blank=True, max_length=200)),
                ("model", models.CharField(blank=True, max_length=200)),
                ("allow_old", models.BooleanField(default=False)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("draft", "To be mapped"),
                            ("checking", "Checking"),
                            ("checked", "Checked"),
                            ("importing", "Importing"),
                            ("done", "Imported"),
                            ("cancelled", "Cancelled"),
                            ("failed", "Failed"),
                        ],
                        default="draft",
                        max_length=10,
                    ),
                ),
                ("done", models.IntegerField(default=0)),
                ("accepted", models.IntegerField(default=0)),
                ("duplicates", models.IntegerField(default=0)),
                ("refused", models.IntegerField(default=0)),
                ("conflicts", models.IntegerField(default=0)),
                ("faults", models.JSONField(blank=True, default=list)),
                ("failure", models.TextField(blank=True)),
                ("created_by", models.CharField(max_length=254)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
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
                    "virtual_key",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="tenants.virtualkey",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ImportChunk",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        default=common.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("first", models.IntegerField()),
                ("rows", models.JSONField()),
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
                    "usage_import",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="ingest.usageimport",
                    ),
                ),
            ],
        ),
        migrations.AddConstraint(
            model_name="usageimport",
            constraint=models.CheckConstraint(
                condition=models.Q(("done__gte", 0), ("done__lte", models.F("rows")), ("rows__gte", 0)),
                name="import_within_its_rows",
            ),
        ),
        migrations.AddConstraint(
            model_name="usageimport",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "done",
                        django.db.models.expressions.CombinedExpression(
                            django.db.models.expressions.CombinedExpression(
                                models.F("accepted"), "+", models.F("duplicates")
                            ),
                            "+",
                            models.F("refused"),
                        ),
                    )
                ),
                name="import_accounts_for_every_row",
            ),
        ),
        migrations.AddConstraint(
            model_name="usageimport",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("state__in", ["draft", "cancelled", "failed"]), ("virtual_key__isnull", False), _connector="OR"
                ),
                name="import_at_work_has_a_key",
            ),
        ),
        migrations.AddConstraint(
            model_name="importchunk",
            constraint=models.UniqueConstraint(
                fields=("organization", "usage_import", "first"), name="import_has_each_row_once"
            ),
        ),
        tenant_table("ingest_usageimport", references=[("virtual_key_id", "tenants_virtualkey")]),
        tenant_table("ingest_importchunk", references=[("usage_import_id", "ingest_usageimport")]),
        door(
            "ingest_importing_organizations()",
            returns="SETOF bigint",
            body="SELECT DISTINCT organization_id FROM public.ingest_usageimport"
            " WHERE state IN ('checking', 'importing')",
            reads=["ingest_usageimport"],
        ),
    ]
