"""The catalog of list prices, and the rule that history stays as it was published."""

import django.db.models.deletion
from django.db import migrations, models

from common.tenant_tables import APPLICATION_ROLE

HISTORY_IS_FIXED = """
CREATE FUNCTION pricing_history_is_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND OLD.effective_from > now() THEN
        RETURN OLD;  -- a plan that the vendor took back
    END IF;
    RAISE EXCEPTION 'price % is in force or history: add a newer one instead', OLD.id
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER pricing_history_is_fixed BEFORE UPDATE OR DELETE ON pricing_listprice
    FOR EACH ROW EXECUTE FUNCTION pricing_history_is_fixed();
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [("common", "0001_roles")]

    operations = [
        migrations.CreateModel(
            name="PriceProvider",
            fields=[
                ("id", models.TextField(help_text="canonical id, e.g. openai", primary_key=True, serialize=False)),
                ("name", models.TextField()),
                ("url", models.TextField(blank=True, help_text="where the vendor publishes its prices")),
                (
                    "fallbacks",
                    models.JSONField(default=list, help_text="ids of providers whose models this one also sells"),
                ),
                ("position", models.IntegerField(help_text="the source's order")),
            ],
        ),
        migrations.CreateModel(
            name="PriceCatalog",
            fields=[
                ("id", models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                (
                    "version",
                    models.BigIntegerField(
                        help_text="changes whenever anything in the catalog does; 0 is an empty catalog"
                    ),
                ),
                ("source", models.TextField()),
                ("source_version", models.TextField()),
                ("reader_version", models.SmallIntegerField(help_text="version of the code that read the source")),
                ("loaded_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("id", 1)), name="pricing_there_is_one_catalog")
                ],
            },
        ),
        migrations.CreateModel(
            name="PricedModel",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.TextField(help_text="canonical name, e.g. gpt-4.1-nano")),
                ("match", models.JSONField(help_text="which other names mean this model, as in pricing.matching")),
                ("position", models.IntegerField(help_text="the source's order, which decides between two matches")),
                ("listed", models.BooleanField(default=True, help_text="whether the source still knows the model")),
                (
                    "provider",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="models", to="pricing.priceprovider"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ListPrice",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "tier",
                    models.TextField(
                        choices=[
                            ("standard", "standard"),
                            ("batch", "batch"),
                            ("flex", "flex"),
                            ("priority", "priority"),
                        ],
                        default="standard",
                    ),
                ),
                ("effective_from", models.DateTimeField(help_text="inclusive, UTC")),
                ("units", models.JSONField(help_text="unit → USD per 1,000,000, decimal strings; see pricing.terms")),
                ("tiers", models.JSONField(default=list, help_text="other units above a number of input tokens")),
                ("extras", models.JSONField(default=dict, help_text="listed, but not counted by usage events")),
                ("windows", models.JSONField(default=list, help_text="other units at hours of the day, UTC")),
                ("source", models.TextField()),
                ("source_version", models.TextField()),
                ("source_url", models.TextField(blank=True)),
                ("loaded_at", models.DateTimeField()),
                (
                    "model",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="prices", to="pricing.pricedmodel"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("model", "tier", "effective_from"), name="pricing_prices_never_overlap"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("tier__in", ("standard", "batch", "flex", "priority"))),
                        name="pricing_tier_is_known",
                    ),
                ],
            },
        ),
        migrations.AddConstraint(
            model_name="pricedmodel",
            constraint=models.UniqueConstraint(
                fields=("provider", "name"), name="pricing_model_name_is_unique_in_its_provider"
            ),
        ),
        migrations.RunSQL(
            # Even without the trigger: web and workers load prices, but never change one.
            [
                HISTORY_IS_FIXED,
                f"REVOKE UPDATE ON pricing_listprice FROM {APPLICATION_ROLE}",
                f"REVOKE DELETE ON pricing_pricedmodel, pricing_priceprovider FROM {APPLICATION_ROLE}",
                f"REVOKE DELETE ON pricing_pricecatalog FROM {APPLICATION_ROLE}",
            ],
            ["DROP TRIGGER pricing_history_is_fixed ON pricing_listprice", "DROP FUNCTION pricing_history_is_fixed()"],
        ),
    ]
