"""Files of usage: what their columns mean and how their rows are read. Shared by replay and import."""
