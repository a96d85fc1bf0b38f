"""Lines of the report: a figure, its limit in the same run, and the ratio of the two."""

from bench.limits import Rate


def rate_line(name: str, rate: Rate, limit_name: str, limit: Rate, *, wanted: float) -> None:
    """`wanted`: the ratio that the figure should reach at least."""
    ratio = rate.per_second / limit.per_second
    print(
        f"{name:<36}{rate.per_second:>10,.0f}/s   {limit_name:<30}{limit.per_second:>10,.0f}/s"
        f"   ratio {ratio:.2f} (wanted: {wanted:.2f} or more)",
        flush=True,
    )


def cost_line(name: str, value: float, limit_name: str, limit: float, unit: str, *, wanted: float) -> None:
    """`wanted`: the ratio that the figure should stay under."""
    print(
        f"{name:<36}{value:>10,.1f} {unit:<3} {limit_name:<30}{limit:>10,.1f} {unit}"
        f"   ratio {value / limit:.2f} (wanted: {wanted:.2f} or less)",
        flush=True,
    )
