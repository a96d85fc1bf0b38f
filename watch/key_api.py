"""Where a virtual key is used from, over the API."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from common.api import problems, query_parameters
from tenants.api_base import TenantAPIView, object_of
from tenants.models import VirtualKey
from usage.key_networks import networks_of_key
from watch.serializers import KEY_NETWORK_PAGE, KeyNetworkSerializer


class KeyNetworksView(TenantAPIView):
    scopes = {"GET": "keys:read"}

    @extend_schema(
        operation_id="keys_networks",
        summary="Networks that a virtual key is used from",
        description="The one used last first, at most 256; those unused for a year are forgotten. Noted when the key"
        " reports usage or asks for an authorization, never a whole address.",
        responses={200: KEY_NETWORK_PAGE, **problems(404)},
    )
    def get(self, request: Request, identifier: str) -> Response:
        query_parameters(request, frozenset())
        organization_id = self.caller.organization_id
        key = object_of(VirtualKey.objects.filter(organization_id=organization_id), identifier)
        found = networks_of_key(organization_id=organization_id, virtual_key_id=key.id)
        return Response({"data": [KeyNetworkSerializer(each).data for each in found], "next": None})
