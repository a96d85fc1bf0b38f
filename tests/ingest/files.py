"""Files of usage as people have them."""

from datetime import datetime, timedelta

HEADER = "time,provider,model,input_tokens,output_tokens,customer"


def line(at: datetime, tokens: int = 1500, customer: str = "acme") -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ},openai,gpt-4.1-nano,{tokens},250,{customer}"


def usage_csv(now: datetime, rows: int = 3, *, age: timedelta = timedelta(hours=1)) -> bytes:
    return "\n".join([HEADER, *(line(now - age + timedelta(seconds=n)) for n in range(rows)), ""]).encode()
