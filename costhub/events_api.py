"""/api/v1/events: usage in (ingest) and usage out (analytics), which know nothing of each other."""

from analytics.api import EventsListView
from ingest.api import EventsView as EventsReportView


class EventsView(EventsReportView, EventsListView):
    """POST reports, GET lists; anything else is 405."""

    scopes = EventsListView.scopes | EventsReportView.scopes
