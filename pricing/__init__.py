"""What a model's units cost, from when to when, and what that makes of an event. Global data, no tenant's."""
