"""Budgets: limits on a scope and a period, the ledger that settles usage against them, and when they speak up."""
