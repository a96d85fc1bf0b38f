"""Files of recorded usage brought in by people: looked at, mapped, checked, then taken in chunk by chunk."""
