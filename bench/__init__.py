"""Measurements, each beside a named limit of the same machine in the same run: `make bench`."""
