"""Documents on paper: the one place that knows reportlab. What a document says stands in the app that knows it."""
