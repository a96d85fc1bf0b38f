"""The recipe of a tenant table, as Django sees it. What Postgres adds stands in `common.tenant_tables`."""

from typing import Any

from django.db import models

from common.ids import new_id


class TenantModel(models.Model):
    """A row that belongs to one organization.

    Django knows `id` as the primary key; in Postgres the key is (organization_id, id), foreign keys carry the
    organization along, and row-level security hides every other organization's rows (`common.tenant_tables`).
    """

    id = models.BigIntegerField(primary_key=True, default=new_id, editable=False)
    organization = models.ForeignKey(
        "tenants.Organization", on_delete=models.DO_NOTHING, db_constraint=False, related_name="+"
    )

    class Meta:
        abstract = True


def tenant_key(to: type[models.Model] | str, **options: Any) -> Any:
    """A foreign key inside the tenant. The constraint itself is composite and made by `common.tenant_tables`."""
    return models.ForeignKey(to, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+", **options)
