"""Sending recorded usage through the REST API: a file of rows in, a report that proves the totals out."""
