from django.urls import include, path

from costhub.urls import urlpatterns as product

urlpatterns = [path("", include("alerts.urls")), path("api/v1/", include("alerts.api_urls")), *product]
