from django.db import migrations

from common.tenant_tables import tenant_table


class Migration(migrations.Migration):
    dependencies = [("budgets", "0001_initial"), ("tenants", "0002_row_security")]

    operations = [
        tenant_table(
            "budgets_budget", references=[("team_id", "tenants_team"), ("virtual_key_id", "tenants_virtualkey")]
        ),
        tenant_table("budgets_ledgerentry", references=[("budget_id", "budgets_budget")]),
    ]
