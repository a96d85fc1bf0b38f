"""More than a budget allows: who may ask, who may decide, and what a decision does."""
