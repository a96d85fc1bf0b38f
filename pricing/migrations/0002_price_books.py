"""Price books of organizations and flat fees, and the rule that of a price rule only its end may change."""

from decimal import Decimal

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import common.ids
from common.tenant_tables import APPLICATION_ROLE, door, tenant_table

# A minute of grace: "now" is taken where the request arrives, a little before this transaction began.
RULES_ARE_HISTORY = """
CREATE FUNCTION pricing_rules_are_history() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    kept pricing_pricerule := OLD;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        kept.effective_to := NEW.effective_to;
        IF NEW IS NOT DISTINCT FROM kept AND coalesce(OLD.effective_to > now(), true)
            AND coalesce(NEW.effective_to >= now() - interval '1 minute', false) THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'price rule % is history: add a newer one, or end it from now on', OLD.id
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER pricing_rules_are_history BEFORE UPDATE OR DELETE ON pricing_pricerule
    FOR EACH ROW EXECUTE FUNCTION pricing_rules_are_history();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("pricing", "0001_initial"),
        ("tenants", "0005_optional_fields"),
    ]

    operations = [
        migrations.CreateModel(
            name="PriceBookVersion",
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
                ("version", models.BigIntegerField(help_text="changes whenever a rule is added or ended")),
            ],
        ),
        migrations.CreateModel(
            name="Commitment",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        default=common.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                (
                    "kind",
                    models.CharField(
                        choices=[("committed_use", "Committed use"), ("provisioned", "Provisioned capacity")],
                        max_length=20,
                    ),
                ),
                ("provider", models.CharField(help_text="canonical id", max_length=100)),
                ("model", models.CharField(blank=True, max_length=200)),
                ("amount", models.BigIntegerField(help_text="nano-USD per period")),
                (
                    "period",
                    models.CharField(
                        choices=[("month", "Every month"), ("whole", "Once, for the whole term")], max_length=10
                    ),
                ),
                ("first_day", models.DateField()),
                ("last_day", models.DateField(blank=True, null=True)),
                ("timezone", models.CharField(max_length=64)),
                ("booked_until", models.DateTimeField(help_text="every hour of the term that ends by then is booked")),
                ("complete", models.BooleanField(default=False, help_text="nothing is left to book")),
                (
                    "stopped_at",
                    models.DateTimeField(
                        blank=True, help_text="hours that begin then or later cost nothing", null=True
                    ),
                ),
                ("created_by", models.CharField(max_length=254)),
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
                (
                    "team",
                    models.ForeignKey(
                        db_constraint=False,
                        help_text="who bears it",
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="tenants.team",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("kind__in", ["committed_use", "provisioned"]), ("period__in", ["month", "whole"])
                        ),
                        name="pricing_commitment_kind_and_period_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("amount__gt", 0), ("amount__lte", 1000000000000000000)),
                        name="pricing_fee_positive",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("last_day__isnull", True), ("period", "month")),
                            models.Q(("last_day__gte", models.F("first_day")), ("last_day__isnull", False)),
                            _connector="OR",
                        ),
                        name="pricing_commitment_term_is_a_term",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="PriceRule",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        default=common.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                ("note", models.CharField(blank=True, max_length=500)),
                ("provider", models.CharField(help_text="canonical id, or * for any", max_length=100)),
                (
                    "model",
                    models.CharField(help_text="a model's name, or a pattern with *, in lower case", max_length=200),
                ),
                ("tier", models.CharField(blank=True, help_text="a service tier; empty for all", max_length=20)),
                (
                    "kind",
                    models.CharField(
                        choices=[("percent", "Percent"), ("fixed", "Fixed"), ("custom", "Custom")], max_length=10
                    ),
                ),
                ("percent", models.DecimalField(blank=True, decimal_places=4, max_digits=9, null=True)),
                (
                    "units",
                    models.JSONField(blank=True, default=dict, help_text="unit → USD per 1,000,000; see pricing.terms"),
                ),
                (
                    "tiers",
                    models.JSONField(blank=True, default=list, help_text="other units above a number of input tokens"),
                ),
                ("effective_from", models.DateTimeField(help_text="inclusive")),
                (
                    "effective_to",
                    models.DateTimeField(
                        blank=True, help_text="exclusive; the same as its start: withdrawn", null=True
                    ),
                ),
                ("created_by", models.CharField(max_length=254)),
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
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("kind", "percent"), ("percent__isnull", False), ("tiers", []), ("units", {})),
                            models.Q(
                                ("kind__in", ["fixed", "custom"]),
                                ("percent__isnull", True),
                                models.Q(("units", {}), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="pricing_rule_says_what_its_kind_needs",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("percent__isnull", True),
                            models.Q(("percent__gte", Decimal("-100")), ("percent__lte", Decimal("10000"))),
                            _connector="OR",
                        ),
                        name="pricing_rule_percent_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("tier__in", ["", "standard", "batch", "flex", "priority"])),
                        name="pricing_rule_tier_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("kind", "custom"), _negated=True),
                            models.Q(
                                models.Q(("provider", "*"), _negated=True),
                                models.Q(("model__contains", "*"), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="pricing_custom_rule_names_one_model",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("effective_to__isnull", True),
                            ("effective_to__gte", models.F("effective_from")),
                            _connector="OR",
                        ),
                        name="pricing_rule_ends_after_it_begins",
                    ),
                ],
            },
        ),
        tenant_table("pricing_pricebookversion", key=(), replace_key=False),
        tenant_table("pricing_pricerule", immutable=True),
        tenant_table("pricing_commitment", references=[("team_id", "tenants_team")], immutable=True),
        migrations.RunSQL(
            [
                RULES_ARE_HISTORY,
                f"REVOKE DELETE ON pricing_pricebookversion FROM {APPLICATION_ROLE}",
                f"GRANT UPDATE (effective_to) ON pricing_pricerule TO {APPLICATION_ROLE}",
                f"GRANT UPDATE (booked_until, complete, stopped_at) ON pricing_commitment TO {APPLICATION_ROLE}",
            ],
            [
                "DROP TRIGGER pricing_rules_are_history ON pricing_pricerule",
                "DROP FUNCTION pricing_rules_are_history()",
            ],
        ),
        door(
            "pricing_organizations_with_fees(moment timestamptz)",
            returns="SETOF bigint",
            body="SELECT DISTINCT organization_id FROM public.pricing_commitment"
            " WHERE NOT complete AND booked_until <= moment - interval '1 hour'",
            reads=["pricing_commitment"],
        ),
    ]
