"""What was used and what it cost: immutable events, hourly rollups, and every read of spend."""
