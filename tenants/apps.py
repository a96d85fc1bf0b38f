from importlib import import_module

from django.apps import AppConfig


class TenantsConfig(AppConfig):
    name = "tenants"

    def ready(self) -> None:
        # Describing itself to the schema generator is done by being imported.
        import_module("tenants.openapi")
