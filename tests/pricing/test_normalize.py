import pytest

from pricing.normalize import PROVIDER_ALIASES, normalize

PROVIDERS = [
    ("openai", "openai"),
    ("OpenAI", "openai"),
    (" openai ", "openai"),
    ("text-completion-openai", "openai"),
    ("azure", "azure"),
    ("azure_openai", "azure"),
    ("AzureOpenAI", "azure"),
    ("Azure OpenAI", "azure"),
    ("azure.ai.openai", "azure"),
    ("azure.ai.inference", "azure"),
    ("az.ai.openai", "azure"),
    ("azure_ai", "azure"),
    ("aws", "aws"),
    ("bedrock", "aws"),
    ("aws_bedrock", "aws"),
    ("aws.bedrock", "aws"),
    ("amazon-bedrock", "aws"),
    ("bedrock_converse", "aws"),
    ("google", "google"),
    ("gemini", "google"),
    ("vertex_ai", "google"),
    ("vertex_ai_beta", "google"),
    ("google-vertex", "google"),
    ("gcp.gemini", "google"),
    ("gcp.vertex_ai", "google"),
    ("gcp.gen_ai", "google"),
    ("google_genai", "google"),
    ("google-gla", "google"),
    ("anthropic", "anthropic"),
    ("Claude", "anthropic"),
    ("xai", "x-ai"),
    ("x_ai", "x-ai"),
    ("x.ai", "x-ai"),
    ("mistral_ai", "mistral"),
    ("mistralai", "mistral"),
    ("cohere_chat", "cohere"),
    ("deepseek", "deepseek"),
    ("groq", "groq"),
    ("perplexity", "perplexity"),
    ("together_ai", "together"),
    ("fireworks_ai", "fireworks"),
    ("moonshot", "moonshotai"),
    ("z.ai", "zai"),
    ("github_copilot", "github-copilot"),
    ("openrouter", "openrouter"),
    ("voyage", "voyageai"),
    # Not ours to guess: a name that only looks like a vendor's is somebody's own server.
    ("openai_like", "openai_like"),
    ("my-openai-proxy", "my-openai-proxy"),
    ("not-anthropic", "not-anthropic"),
    ("vllm", "vllm"),
    ("huggingface_together", "huggingface_together"),
    ("ollama", "ollama"),
]


@pytest.mark.parametrize(("written", "canonical"), PROVIDERS)
def test_providers_have_one_name(written: str, canonical: str) -> None:
    assert normalize(written, "m")[0] == canonical


MODELS = [
    ("openai", "gpt-4o", "openai", "gpt-4o"),
    ("openai", "GPT-4o", "openai", "gpt-4o"),
    ("openai", " gpt-4o ", "openai", "gpt-4o"),
    ("openai", "openai/gpt-4o", "openai", "gpt-4o"),
    ("azure", "azure/gpt-4o", "azure", "gpt-4o"),
    ("azure_openai", "azure_ai/gpt-4o", "azure", "gpt-4o"),
    ("gemini", "models/gemini-2.5-pro", "google", "gemini-2.5-pro"),
    ("gemini", "gemini/gemini-2.5-pro", "google", "gemini-2.5-pro"),
    ("vertex_ai", "publishers/google/models/gemini-2.5-flash", "google", "gemini-2.5-flash"),
    (
        "gcp.vertex_ai",
        "projects/p/locations/us-central1/publishers/anthropic/models/claude-sonnet-4-5@20250929",
        "google",
        "claude-sonnet-4-5@20250929",
    ),
    ("bedrock", "bedrock/anthropic.claude-3-haiku-20240307-v1:0", "aws", "anthropic.claude-3-haiku-20240307-v1:0"),
    ("bedrock", "bedrock/converse/amazon.nova-pro-v1:0", "aws", "amazon.nova-pro-v1:0"),
    (
        "aws.bedrock",
        "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "aws",
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    ),
    (
        "anthropic",
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "aws",
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    ),
    ("anthropic", "anthropic.claude-opus-4-5-v1:0", "aws", "anthropic.claude-opus-4-5-v1:0"),
    ("anthropic", "anthropic/claude-opus-4-5", "anthropic", "claude-opus-4-5"),
    ("anthropic", "claude-sonnet-4-5-20250929", "anthropic", "claude-sonnet-4-5-20250929"),
    ("litellm", "bedrock/us.anthropic.claude-opus-4-5-v1:0", "aws", "us.anthropic.claude-opus-4-5-v1:0"),
    ("litellm_proxy", "litellm_proxy/vertex_ai/gemini-2.5-pro", "google", "gemini-2.5-pro"),
    ("", "openrouter/openai/gpt-4o", "openrouter", "openai/gpt-4o"),
    ("litellm", "my-alias", "litellm", "my-alias"),
    ("openrouter", "openai/gpt-4o", "openrouter", "openai/gpt-4o"),
    ("openrouter", "openrouter/openai/gpt-4o", "openrouter", "openai/gpt-4o"),
    ("openrouter", "openrouter/auto", "openrouter", "openrouter/auto"),
    ("groq", "groq/openai/gpt-oss-120b", "groq", "openai/gpt-oss-120b"),
    ("groq", "openai/gpt-oss-120b", "groq", "openai/gpt-oss-120b"),
    ("fireworks_ai", "accounts/fireworks/models/glm-5p3", "fireworks", "accounts/fireworks/models/glm-5p3"),
    ("xai", "xai/grok-4", "x-ai", "grok-4"),
    # What may change the price stays.
    ("azure", "azure/eu/gpt-4o", "azure", "eu/gpt-4o"),
    ("aws", "eu.anthropic.claude-opus-4-5-v1:0", "aws", "eu.anthropic.claude-opus-4-5-v1:0"),
    ("aws", "global.anthropic.claude-opus-4-5-v1:0", "aws", "global.anthropic.claude-opus-4-5-v1:0"),
    ("openrouter", "deepseek/deepseek-r1:free", "openrouter", "deepseek/deepseek-r1:free"),
    ("openai", "ft:gpt-4o-mini-2024-07-18:acme::x", "openai", "ft:gpt-4o-mini-2024-07-18:acme::x"),
    ("openai", "anthropic/claude-opus-4-5", "openai", "anthropic/claude-opus-4-5"),
    (
        "aws",
        "arn:aws:bedrock:us-east-1:1:provisioned-model/x",
        "aws",
        "arn:aws:bedrock:us-east-1:1:provisioned-model/x",
    ),
    # Whatever people send stays text.
    ("acme", "../../etc/passwd", "acme", "../../etc/passwd"),
    ("acme", "'; DROP TABLE", "acme", "'; drop table"),
    ("google", "models/", "google", ""),
]


@pytest.mark.parametrize(("provider", "model", "canonical", "name"), MODELS)
def test_models_are_asked_for_by_their_bare_name(provider: str, model: str, canonical: str, name: str) -> None:
    assert normalize(provider, model) == (canonical, name)


@pytest.mark.parametrize(("provider", "model", "canonical", "name"), MODELS)
def test_normal_names_stay_as_they_are(provider: str, model: str, canonical: str, name: str) -> None:
    assert normalize(canonical, name) == (canonical, name)


def test_no_spelling_belongs_to_two_providers() -> None:
    assert all(PROVIDER_ALIASES[canonical] == canonical for canonical in PROVIDER_ALIASES.values())
