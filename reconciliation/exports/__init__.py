"""Exports of providers, as their admin APIs and consoles give them, to billed items. Pure."""
