"""Models: a name → tokenizer, network, and where its neurons are.

A neuron (layer, index) is output ``index`` of the activation function of a layer's feed-forward
block; for a gated block that is the activated gate before it is multiplied by the up projection.
Where that module stands differs between architectures: :data:`ARCHITECTURES` is the one table.

``torch`` and ``transformers`` are imported when a model is loaded, not when this module is.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import InputError
from .model_sources import ModelSource

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedTokenizerBase

DTYPES = ("float32", "bfloat16", "auto")


@dataclass(frozen=True)
class Architecture:
    """Where the neurons of one model type are, as dotted paths.

    Attributes
    ----------
    layers : path from the network to its list of layers.
    activation : path from a layer to the module whose output is the neurons' activation.
    down : path from a layer to the projection that reads the neurons; its input width is theirs.
    """

    layers: str
    activation: str
    down: str


_GATED = Architecture("model.layers", "mlp.act_fn", "mlp.down_proj")

ARCHITECTURES: dict[str, Architecture] = {
    **dict.fromkeys(
        (
            "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "olmo", "olmo2",
            "cohere", "cohere2", "stablelm", "smollm3", "granite", "ministral", "apertus",
        ),
        _GATED,
    ),
    "gemma3": Architecture("model.language_model.layers", "mlp.act_fn", "mlp.down_proj"),
    "phi3": Architecture("model.layers", "mlp.activation_fn", "mlp.down_proj"),
    "phi": Architecture("model.layers", "mlp.activation_fn", "mlp.fc2"),
    "starcoder2": Architecture("model.layers", "mlp.act", "mlp.c_proj"),
    "gpt2": Architecture("transformer.h", "mlp.act", "mlp.c_proj"),
    "gpt_neo": Architecture("transformer.h", "mlp.act", "mlp.c_proj"),
    "gptj": Architecture("transformer.h", "mlp.act", "mlp.fc_out"),
    "gpt_neox": Architecture("gpt_neox.layers", "mlp.act", "mlp.dense_4h_to_h"),
    "falcon": Architecture("transformer.h", "mlp.act", "mlp.dense_4h_to_h"),
    "bloom": Architecture("transformer.h", "mlp.gelu_impl", "mlp.dense_4h_to_h"),
    "opt": Architecture("model.decoder.layers", "activation_fn", "fc2"),
    "xglm": Architecture("model.layers", "activation_fn", "fc2"),
}  # fmt: skip


def _find(root: nn.Module, path: str) -> Any:
    """The submodule at a dotted path, or None."""
    found: Any = root
    for name in path.split("."):
        found = getattr(found, name, None)
        if found is None:
            return None
    return found


def _input_width(projection: nn.Module) -> int:
    """Input width of a linear layer, or of the transposed one that GPT-2 calls Conv1D."""
    width = getattr(projection, "in_features", None)
    return int(width if width is not None else projection.nx)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Model:
    """A loaded causal language model with its neurons located.

    Attributes
    ----------
    source : where it came from, with its fingerprints.
    network : the transformers model in evaluation mode.
    tokenizer : its tokenizer.
    activations : one module a layer whose output, (..., width), is the neurons' activation.
    downs : one projection a layer that reads the neurons.
    width : neurons in a layer.
    """

    source: ModelSource
    network: Any
    tokenizer: PreTrainedTokenizerBase
    activations: tuple[nn.Module, ...]
    downs: tuple[nn.Module, ...]
    width: int

    @property
    def layers(self) -> int:
        """Number of layers."""
        return len(self.activations)

    @property
    def body(self) -> nn.Module:
        """The network without its output head: what activations need, and nothing more."""
        return self.network.base_model

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.network.device

    @property
    def dtype(self) -> torch.dtype:
        """The number format it computes in."""
        return self.network.dtype

    @property
    def dtype_name(self) -> str:
        """``float32`` or ``bfloat16``."""
        return str(self.network.dtype).removeprefix("torch.")

    @property
    def bos(self) -> tuple[int, ...]:
        """The beginning-of-sequence token that every block starts with; empty where none exists."""
        token = self.tokenizer.bos_token_id
        return () if token is None else (int(token),)

    @property
    def context(self) -> int:
        """The longest input in tokens."""
        config = self.network.config.get_text_config()
        return int(getattr(config, "max_position_embeddings", None) or 2048)

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, without any special token."""
        return list(self.tokenizer(text, add_special_tokens=False).input_ids)


def locate_neurons(network: Any) -> tuple[tuple[nn.Module, ...], tuple[nn.Module, ...], int]:
    """Activation modules, down projections and width of a network's feed-forward neurons.

    Raises
    ------
    InputError
        The architecture is not in the table, or does not look as the table says; the sentence
        names what was looked for.
    """
    model_type = network.config.model_type
    architecture = ARCHITECTURES.get(model_type)
    if architecture is None:
        raise InputError(
            f"The model type '{model_type}' is unknown here: no feed-forward activation module "
            f"is recorded for it. Known types: {', '.join(sorted(ARCHITECTURES))}."
        )
    layers: Sequence[nn.Module] = _find(network, architecture.layers) or ()
    activations = tuple(_find(layer, architecture.activation) for layer in layers)
    downs = tuple(_find(layer, architecture.down) for layer in layers)
    if not layers or any(module is None for module in (*activations, *downs)):
        raise InputError(
            f"This '{model_type}' network has no neurons where they were looked for: "
            f"'{architecture.layers}[i].{architecture.activation}' read by "
            f"'{architecture.layers}[i].{architecture.down}'."
        )
    if len({id(module) for module in activations}) < len(activations):
        raise InputError(
            f"This '{model_type}' network shares one activation module between layers, "
            "so its neurons cannot be told apart by layer."
        )
    return activations, downs, _input_width(downs[0])


def wrap(
    network: Any, tokenizer: PreTrainedTokenizerBase, source: ModelSource | None = None
) -> Model:
    """A network that is already in memory, as a :class:`Model`.

    Without a ``source`` the model has no fingerprint that outlives the process, and its results
    must not be stored.
    """
    activations, downs, width = locate_neurons(network)
    network.eval()
    source = source or ModelSource.in_memory(network.config.model_type, len(activations), width)
    return Model(source, network, tokenizer, activations, downs, width)


def load_quietly(source: ModelSource, dtype: str = "auto", device: str | None = None) -> Model:
    """The same as :func:`load`, without what its library says meanwhile."""
    if source.path is not None:
        from transformers.utils import logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
    return load(source, dtype=dtype, device=device)


def resolve_dtype(dtype: str, source: ModelSource, device: str | None = None) -> str:
    """``auto`` as what this machine is faster in; results are stored under the true format."""
    if dtype != "auto":
        return dtype
    from . import machine

    return machine.choose_dtype(machine.resolve_device(device), source.parameters)


def load(source: ModelSource, *, dtype: str = "float32", device: str | None = None) -> Model:
    """Load a model that lies on disk.

    Parameters
    ----------
    source : what :func:`bridgex_core.model_sources.find_model` found; it must be prepared.
    dtype : ``float32``, ``bfloat16``, or ``auto`` (see :func:`resolve_dtype`).
    device : ``cpu``, ``cuda``, ``cuda:1`` …; the fastest that is there when left out.

    Raises
    ------
    InputError
        An unknown dtype or device, files that are no causal model, an unknown architecture, or
        more memory needed than the machine has.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from . import machine

    if source.path is None:
        raise InputError(f"{source.title} is not installed. {source.how_to_get}")
    place = machine.resolve_device(device)
    name = resolve_dtype(dtype, source, device)
    if name not in DTYPES:
        raise InputError(f"The dtype '{dtype}' is unknown; choose one of {', '.join(DTYPES)}.")
    machine.require_memory(place, source.weight_bytes(name), f"loading {source.title} in {name}")
    try:
        network: Any = AutoModelForCausalLM.from_pretrained(
            source.path, dtype=getattr(torch, name), local_files_only=True, trust_remote_code=False
        )
        tokenizer = AutoTokenizer.from_pretrained(
            source.path, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # whatever a folder that is no such model makes a library raise
        reason = textwrap.shorten(f"{error}" or type(error).__name__, 300, placeholder=" …")
        raise InputError(f"The model in {source.path} could not be loaded: {reason}") from error
    return wrap(network.to(place), tokenizer, source)
