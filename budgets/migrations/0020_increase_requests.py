import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import common.ids
from common.tenant_tables import tenant_table


class Migration(migrations.Migration):
    dependencies = [
        ("budgets", "0011_reservations"),
        ("tenants", "0006_closed_months"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ApprovalPolicy",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        default=common.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("manager_amount", models.BigIntegerField(blank=True, null=True)),
                ("manager_percent", models.PositiveSmallIntegerField(blank=True, null=True)),
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
                    models.UniqueConstraint(fields=("organization",), name="approval_policy_one_per_organization"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("manager_amount__isnull", True), ("manager_percent__isnull", True), _connector="OR"
                        ),
                        name="approval_policy_amount_or_percent",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("manager_amount__isnull", True),
                            models.Q(("manager_amount__gt", 0), ("manager_amount__lte", 1000000000000000000)),
                            _connector="OR",
                        ),
                        name="approval_policy_amount_positive",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("manager_percent__isnull", True),
                            models.Q(("manager_percent__gte", 1), ("manager_percent__lte", 100)),
                            _connector="OR",
                        ),
                        name="approval_policy_percent_in_range",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="IncreaseRequest",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        default=common.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("amount", models.BigIntegerField()),
                ("until", models.DateTimeField(blank=True, null=True)),
                ("reason", models.CharField(max_length=500)),
                ("asker", models.CharField(max_length=40)),
                ("asked_by", models.CharField(max_length=254)),
                ("asked_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("pending", "Waiting"),
                            ("approved", "Approved"),
                            ("denied", "Denied"),
                            ("withdrawn", "Withdrawn"),
                            ("expired", "Expired"),
                        ],
                        default="pending",
                        max_length=10,
                    ),
                ),
                ("decided_by", models.CharField(blank=True, max_length=254)),
                ("decided_as", models.CharField(blank=True, max_length=10)),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                ("note", models.CharField(blank=True, max_length=500)),
                ("version", models.PositiveIntegerField(default=1)),
                (
                    "budget",
                    models.ForeignKey(
                        db_constraint=False,
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
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["organization", "-asked_at"], name="increase_request_newest_first"),
                    models.Index(fields=["organization", "budget", "-asked_at"], name="increase_request_of_budget"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("state", "pending")),
                        fields=("organization", "budget", "asker"),
                        name="increase_request_one_open_per_budget_and_asker",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("amount__gt", 0), ("amount__lte", 1000000000000000000)),
                        name="increase_request_amount_positive",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("until__isnull", True), ("until__gt", models.F("asked_at")), _connector="OR"
                        ),
                        name="increase_request_lasts",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["pending", "approved", "denied", "withdrawn", "expired"])),
                        name="increase_request_state_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("decided_at__isnull", False),
                                ("state__in", ("approved", "denied")),
                                models.Q(("decided_by", ""), _negated=True),
                            ),
                            models.Q(
                                models.Q(("state__in", ("approved", "denied")), _negated=True),
                                ("decided_at__isnull", True),
                                ("decided_by", ""),
                            ),
                            _connector="OR",
                        ),
                        name="increase_request_decided_by_somebody",
                    ),
                ],
            },
        ),
        tenant_table("budgets_approvalpolicy"),
        tenant_table("budgets_increaserequest", references=[("budget_id", "budgets_budget")]),
    ]
