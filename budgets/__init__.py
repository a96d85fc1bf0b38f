"""Budgets: limits on a scope and a period, the ledger that settles usage against them, and when a threshold is crossed."""
