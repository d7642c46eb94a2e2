"""BridgeX Explorer's engine: what languages share inside a multilingual model, as a library."""

__version__ = "0.1.0"
