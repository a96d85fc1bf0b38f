"""Usage on its way in: the API, the formats, the durable inbox, and the pipeline that settles it."""
