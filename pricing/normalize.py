"""Names as callers write them → the provider and model name the catalog is asked for. Pure, and no guess at prices.

Only spelling is folded: case, known aliases of a provider, wrappers that routers put before a model's name. A part of
a name that may change the price (a region, a version, a speed, ":free") always stays. A provider that is not known here
passes through: whoever hosts "gpt-oss" on their own machines must not be billed like a vendor of a similar name.
"""

import re

# Canonical id → other spellings. A spelling is compared in lower case with every run of " _./" read as "-".
_SPELLINGS: dict[str, str] = {
    "anthropic": "claude anthropic-text",
    "aws": "bedrock aws-bedrock amazon-bedrock amazon bedrock-converse bedrock-runtime",
    "azure": "azure-openai azureopenai azure-ai-openai azure-ai-inference azure-ai azure-ai-foundry az-ai-openai"
    " az-ai-inference microsoft-foundry azure-text",
    "cerebras": "cerebras-ai",
    "cloudflare": "workers-ai cloudflare-workers-ai",
    "cohere": "cohere-chat cohere-ai cohereai",
    "deepseek": "deep-seek deepseek-ai",
    "fireworks": "fireworks-ai fireworksai",
    "github-copilot": "copilot githubcopilot",
    "google": "gemini vertex vertexai vertex-ai vertex-ai-beta google-vertex google-vertex-ai google-vertexai"
    " google-gemini google-genai google-gla google-ai google-ai-studio google-generative-ai google-generativeai"
    " gcp-gemini gcp-vertex-ai gcp-gen-ai gcp-genai vertex-ai-anthropic-models vertex-ai-language-models"
    " google-vertex-anthropic",
    "groq": "groqcloud",
    "minimax": "minimax-ai minimaxai",
    "mistral": "mistralai mistral-ai codestral",
    "moonshotai": "moonshot moonshot-ai kimi",
    "novita": "novita-ai",
    "openai": "open-ai openai-chat openai-responses openai-api text-completion-openai openai-text",
    "openrouter": "open-router",
    "perplexity": "perplexity-ai pplx",
    "together": "together-ai togetherai",
    "voyageai": "voyage voyage-ai",
    "x-ai": "xai x-ai-grok",
    "zai": "z-ai",
    "zhipuai": "zhipu zhipu-ai",
}
PROVIDER_ALIASES: dict[str, str] = {
    spelling: provider for provider, spellings in _SPELLINGS.items() for spelling in (provider, *spellings.split())
}

# Routers that are no vendor: the prefix of the model says who served it.
_ROUTERS = frozenset({"", "litellm", "litellm-proxy"})
_SEPARATORS = re.compile(r"[ _./]+")
_BEDROCK_NAME = re.compile(r"(?:[a-z]{2,6}\.)?anthropic\.claude-")
_BEDROCK_ARN = re.compile(r"arn:aws[a-z-]*:bedrock:[a-z0-9-]*:[0-9]*:(?:inference-profile|foundation-model)/")
_BEDROCK_CALLS = ("converse/", "invoke/")


def normalize(provider: str, model: str) -> tuple[str, str]:
    """(canonical provider, model name) in lower case. Idempotent; unknown names come back as they are, trimmed."""
    name = model.strip().lower()
    vendor = _provider(provider)
    if vendor in _ROUTERS:
        vendor, name = _from_prefix(vendor, name)
    elif vendor == "anthropic" and _BEDROCK_NAME.match(name):
        vendor = "aws"  # only Bedrock names models so, whatever the client library called itself
    return vendor, _bare_model(vendor, name)


def _provider(text: str) -> str:
    name = text.strip().lower()
    key = _SEPARATORS.sub("-", name)
    return PROVIDER_ALIASES.get(key, key if key in _ROUTERS else name)


def _from_prefix(router: str, name: str) -> tuple[str, str]:
    prefix, slash, rest = name.removeprefix("litellm_proxy/").partition("/")
    vendor = PROVIDER_ALIASES.get(_SEPARATORS.sub("-", prefix)) if slash else None
    return (vendor, rest) if vendor else (router, name)


def _bare_model(vendor: str, name: str) -> str:
    prefix, slash, rest = name.partition("/")
    if slash and PROVIDER_ALIASES.get(_SEPARATORS.sub("-", prefix)) == vendor and not _is_own_namespace(vendor, rest):
        name = rest
    if vendor == "google":
        # models/gemini-2.5-pro, publishers/google/models/…, projects/…/publishers/anthropic/models/…
        return name.rpartition("models/")[2] if re.search(r"(?:^|/)models/", name) else name
    if vendor == "aws":
        name = _BEDROCK_ARN.sub("", name)
        for call in _BEDROCK_CALLS:
            name = name.removeprefix(call)
    return name


def _is_own_namespace(vendor: str, rest: str) -> bool:
    """OpenRouter's own models are named openrouter/…; somebody else's follow the prefix with a vendor."""
    return vendor == "openrouter" and "/" not in rest
