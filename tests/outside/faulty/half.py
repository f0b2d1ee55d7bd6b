"""An engine that cannot be created."""

from outside_toys.capitals import Options, check, identity, prompt_counter, token_counter

__all__ = ["Options", "check", "identity", "prompt_counter", "token_counter"]
