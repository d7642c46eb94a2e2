"""Text from any server that speaks OpenAI's protocol (vLLM, llama.cpp, Ollama …), by its URL.

Servers differ in what they return. ``connect`` asks once what this one can do; what it does not
return is left out, with the reason, and never made up.
"""

from .connecting import connect
from .endpoint import TIMEOUT, Endpoint

__all__ = ["TIMEOUT", "Endpoint", "connect"]
