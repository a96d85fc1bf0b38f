from django.urls import path

from analytics import adjustment_views, price_views, review_views, trace_views, views

urlpatterns = [
    path("o/<slug:org_slug>/", views.overview, name="overview"),
    path("o/<slug:org_slug>/live", views.overview_live, name="overview_live"),
    path("o/<slug:org_slug>/events", views.events, name="events"),
    path("o/<slug:org_slug>/events/one", views.event, name="event"),
    path("o/<slug:org_slug>/prices", price_views.prices, name="prices"),
    path("o/<slug:org_slug>/prices/model", price_views.price_model, name="price_model"),
    path("o/<slug:org_slug>/agents", trace_views.agents, name="agents"),
    path("o/<slug:org_slug>/traces", trace_views.trace_list, name="traces"),
    path("o/<slug:org_slug>/traces/one", trace_views.trace, name="trace"),
    path("o/<slug:org_slug>/adjustments", adjustment_views.adjustments, name="adjustments"),
    path("o/<slug:org_slug>/review", review_views.cost_review, name="review"),
    path("o/<slug:org_slug>/review.pdf", review_views.cost_review_pdf, name="review_pdf"),
]
