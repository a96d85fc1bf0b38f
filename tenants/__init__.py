"""Organizations, teams, members, virtual keys, and the one door to what belongs to them (`tenants.access`)."""
