"""The demo organization: a believable company with 90 days of usage, sent through the same pipeline as real usage."""
