"""Engines turn prompts into completions: vLLM, Hugging Face transformers, or a server that speaks OpenAI's API."""
