"""What coding agents say of their model calls, and how they count. Pure tables and their arithmetic.

| agent | counts | convention |
|---|---|---|
| Claude Code | input, output, cache read, cache creation | Anthropic's: input excludes both caches |
| Gemini CLI | input, output, cached, thoughts, tool | Gemini's: input includes cached, thoughts and tool are apart |
| Codex CLI | input, output, cached, reasoning | OpenAI's: input includes cached, output includes reasoning |
"""

from collections.abc import Mapping
from dataclasses import dataclass

# The parts of a call as the agents name them, under one set of names: every count that our event needs.
INPUT, OUTPUT, READ, WRITE, REASONING, TOOL = "input", "output", "cache_read", "cache_write", "reasoning", "tool"


@dataclass(frozen=True, slots=True)
class Agent:
    """A coding agent's vocabulary."""

    name: str
    provider: str
    # The log event that stands for one call, and the attributes of its counts.
    event: str
    counts: Mapping[str, str]
    # Parts that its input or output does not include, and which are therefore added.
    beside_input: tuple[str, ...] = ()
    beside_output: tuple[str, ...] = ()
    # Its counter of tokens, if it has one, and what its data points' `type` means.
    metric: str = ""
    types: Mapping[str, str] | None = None
    cost_metric: str = ""

    def usage(self, counts: Mapping[str, int]) -> dict[str, int]:
        """Counts by part as an event's usage in our convention."""
        usage = {
            "input_tokens": sum(counts.get(part, 0) for part in (INPUT, *self.beside_input)),
            "output_tokens": sum(counts.get(part, 0) for part in (OUTPUT, *self.beside_output)),
            "cache_read_input_tokens": counts.get(READ, 0),
            # None of them says how long a write is kept: five minutes, the usual and cheaper time, is assumed.
            "cache_write_input_tokens": counts.get(WRITE, 0),
            "reasoning_output_tokens": counts.get(REASONING, 0),
        }
        return {name: number for name, number in usage.items() if number}


CLAUDE_CODE = Agent(
    "claude-code",
    "anthropic",
    "claude_code.api_request",
    {
        INPUT: "input_tokens",
        OUTPUT: "output_tokens",
        READ: "cache_read_tokens",
        WRITE: "cache_creation_tokens",
    },
    beside_input=(READ, WRITE),
    metric="claude_code.token.usage",
    types={"input": INPUT, "output": OUTPUT, "cacheRead": READ, "cacheCreation": WRITE},
    cost_metric="claude_code.cost.usage",
)
GEMINI_CLI = Agent(
    "gemini-cli",
    "google",
    "gemini_cli.api_response",
    {
        INPUT: "input_token_count",
        OUTPUT: "output_token_count",
        READ: "cached_content_token_count",
        REASONING: "thoughts_token_count",
        TOOL: "tool_token_count",
    },
    beside_input=(TOOL,),
    beside_output=(REASONING,),
    metric="gemini_cli.token.usage",
    types={"input": INPUT, "output": OUTPUT, "cache": READ, "thought": REASONING, "tool": TOOL},
)
CODEX_CLI = Agent(
    "codex-cli",
    "openai",
    "codex.sse_event",
    {
        INPUT: "input_token_count",
        OUTPUT: "output_token_count",
        READ: "cached_token_count",
        REASONING: "reasoning_token_count",
    },
)
AGENTS = (CLAUDE_CODE, GEMINI_CLI, CODEX_CLI)
BY_EVENT = {agent.event: agent for agent in AGENTS}
BY_METRIC = {agent.metric: agent for agent in AGENTS if agent.metric}
BY_COST_METRIC = {agent.cost_metric: agent for agent in AGENTS if agent.cost_metric}
