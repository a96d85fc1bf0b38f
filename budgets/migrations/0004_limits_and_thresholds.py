"""What has fired besides percentages, and the first entry in the history of every limit.

Tokens of entries that are there already stay 0: `manage.py verify_rollups --repair` makes them from the events.
"""

from django.db import migrations, models

from common.tenant_tables import Statement

# Row security binds the owner too, so it is lifted for the two statements' length; the transaction holds the lock.
_TABLES = ("budgets_budget", "budgets_budgetlimit", "budgets_ledgerentry")
WRITE_FIRST_LIMITS: list[Statement] = [
    *(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY" for table in _TABLES),
    "INSERT INTO budgets_budgetlimit (organization_id, id, budget_id, kind, amount, starts_at, reason, made_by,"
    " created_at) SELECT organization_id, id, id, 'base', \"limit\", least(counts_from, created_at), '', '',"
    " created_at FROM budgets_budget",
    'UPDATE budgets_ledgerentry SET fired_limit = budget."limit" FROM budgets_budget AS budget'
    " WHERE budget.organization_id = budgets_ledgerentry.organization_id AND budget.id = budget_id AND fired > 0",
    *(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY" for table in _TABLES),
]


class Migration(migrations.Migration):
    dependencies = [("budgets", "0003_kinds_of_budgets")]

    operations = [
        migrations.AddField("ledgerentry", "fired_amount", models.BigIntegerField(db_default=0, default=0)),
        migrations.AddField("ledgerentry", "fired_forecast", models.PositiveSmallIntegerField(db_default=0, default=0)),
        migrations.AddField("ledgerentry", "fired_limit", models.BigIntegerField(null=True)),
        # A check that compares with NULL is not refused: it has to ask for a value first.
        migrations.RemoveConstraint("budget", "budget_rolling_says_how_long"),
        migrations.AddConstraint(
            "budget",
            models.CheckConstraint(
                condition=models.Q(
                    period="rolling", rolling_days__isnull=False, rolling_days__gte=2, rolling_days__lte=366
                )
                | (~models.Q(period="rolling") & models.Q(rolling_days__isnull=True)),
                name="budget_rolling_says_how_long",
            ),
        ),
        migrations.RunSQL(WRITE_FIRST_LIMITS, migrations.RunSQL.noop),
    ]
