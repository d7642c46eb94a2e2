"""Where models come from: embedded in Python packages, folders, a model hub.

Nothing here imports torch before a model is prepared, so that a page can name its model at once.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .errors import InputError

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json", "merges.txt",
    "special_tokens_map.json", "added_tokens.json",
)  # fmt: skip
_DTYPE_BYTES = {"float32": 4, "bfloat16": 2}


@dataclass(frozen=True)
class ModelSource:
    """A model's identity and files, before anything of it is loaded.

    Attributes
    ----------
    name : short name, path or hub name: what links, manifests and ``--model`` say.
    title : name for people.
    path : folder with config, weights and tokenizer; None when it is not installed.
    fingerprint : digest of the weights, part of every stored result's key.
    tokenizer_fingerprint : digest of the tokenizer, likewise.
    model_type : the architecture as transformers names it.
    layers, width : neurons are (layer, index) with layer < layers and index < width; a width of 0
        means that the configuration does not say it and the loaded network will.
    parameters : number of weights, 0 where unknown.
    licence, licence_url : terms, where we ship or install the model ourselves.
    how_to_get : one sentence for when ``path`` is None.
    """

    name: str
    title: str
    path: Path | None
    fingerprint: str
    tokenizer_fingerprint: str
    model_type: str
    layers: int
    width: int
    parameters: int = 0
    licence: str = ""
    licence_url: str = ""
    how_to_get: str = ""

    @classmethod
    def in_memory(cls, model_type: str, layers: int, width: int) -> ModelSource:
        """A source for a network that was made in this process and lies on no disk."""
        return cls(
            "in-memory", f"{model_type} in memory", None, "in-memory", "in-memory",
            model_type, layers, width,
        )  # fmt: skip

    @property
    def installed(self) -> bool:
        """Whether its files are here."""
        return self.path is not None

    @property
    def neurons(self) -> int:
        """Layers times width."""
        return self.layers * self.width

    def weight_bytes(self, dtype: str) -> int:
        """Memory that the weights take in a number format."""
        return self.parameters * _DTYPE_BYTES.get(dtype, 4)


def find_model(spec: str | None, root: Path) -> ModelSource:
    """The model that a user means.

    Parameters
    ----------
    spec : the name of an embedded model (None: the default one), a folder, or a hub name
        ``organisation/model`` whose files were downloaded before.
    root : the store's folder, which holds prepared models.

    Raises
    ------
    InputError
        No such folder, a folder without a model, or a name that is none of these.
    """
    from .embedded import DEFAULT_MODEL, EMBEDDED

    name = spec or DEFAULT_MODEL
    if name in EMBEDDED:
        return EMBEDDED[name].source(root)
    path = Path(name).expanduser()
    if path.is_dir():
        return _folder_source(path.resolve(), root)
    if _HUB_NAME.fullmatch(name) and not name.startswith("."):
        return _hub_source(name, root)
    raise InputError(
        f"There is no model '{name}': it is no folder, no embedded model "
        f"({', '.join(EMBEDDED)}) and no hub name of the form organisation/model."
    )


def download(name: str) -> Path:
    """Fetch a hub model's files (safetensors, configuration, tokenizer) into the hub's cache.

    Raises
    ------
    InputError
        The hub cannot be reached, has no such model, or asks for an account.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    try:
        return Path(
            snapshot_download(
                name, allow_patterns=["*.safetensors", "*.json", "*.model", "*.txt", "LICENSE*"]
            )
        )
    except GatedRepoError as error:
        raise InputError(
            f"'{name}' asks for an account: accept its terms on its page, run `hf auth login`, "
            "then try again."
        ) from error
    except RepositoryNotFoundError as error:
        raise InputError(f"The model hub has no model '{name}'.") from error
    except (OSError, HfHubHTTPError, RuntimeError) as error:
        raise InputError(
            f"'{name}' could not be fetched: the model hub cannot be reached from here. "
            "Copy the model's folder to this machine and give its path instead."
        ) from error


def _hub_source(name: str, root: Path) -> ModelSource:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        path = Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, OSError):
        return ModelSource(
            name, name, None, "", "", "", 0, 0,
            how_to_get=f"Fetch it with `python -m bridgex_core models --prepare {name}`, "
            "or give the path of a folder that holds it.",
        )  # fmt: skip
    return _folder_source(path, root, name)


def _folder_source(path: Path, root: Path, name: str | None = None) -> ModelSource:
    config = read_config(path)
    weights = weight_files(path)
    if not weights:
        raise InputError(
            f"The folder {path} has a config.json but no weights (*.safetensors or *.bin)."
        )
    text = config.get("text_config", config)
    return ModelSource(
        name=name or str(path),
        title=name or path.name,
        path=path,
        fingerprint=_remembered_digest(weights, root),
        tokenizer_fingerprint=_digest_files(
            [path / file for file in _TOKENIZER_FILES if (path / file).exists()]
        ),
        model_type=str(config.get("model_type", "")),
        layers=_first(text, "num_hidden_layers", "n_layer", "num_layers"),
        width=_first(text, "intermediate_size", "ffn_dim", "n_inner"),
        parameters=count_parameters(weights),
    )


def read_config(path: Path) -> dict:
    """The model configuration in a folder.

    Raises
    ------
    InputError
        The folder holds none, or one that is not JSON.
    """
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(
            f"The folder {path} holds no config.json, so it is no Hugging Face model."
        ) from error
    except ValueError as error:
        raise InputError(f"{path / 'config.json'} is not valid JSON.") from error
    if not isinstance(config, dict):
        raise InputError(f"{path / 'config.json'} is not a model configuration.")
    return config


def weight_files(path: Path) -> list[Path]:
    """Weight files of a model folder, safetensors before torch's own."""
    return sorted(path.glob("*.safetensors")) or sorted(path.glob("pytorch_model*.bin"))


def count_parameters(weights: list[Path]) -> int:
    """Number of weights, read off the headers of safetensors files (others: from their size)."""
    total = 0
    for file in weights:
        if file.suffix != ".safetensors":
            total += file.stat().st_size // 2
            continue
        shapes = (t["shape"] for name, t in _header(file).items() if name != "__metadata__")
        total += sum(math.prod(shape) for shape in shapes)
    return total


def _header(file: Path) -> dict:
    """The table of contents of a safetensors file."""
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        try:
            header = json.loads(stream.read(min(length, file.stat().st_size)))
        except ValueError as error:
            raise InputError(f"The weights in {file} are damaged: copy the model again.") from error
    return header


def _first(config: dict, *names: str) -> int:
    for name in names:
        if isinstance(config.get(name), int):
            return int(config[name])
    return 0


def _digest_files(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0")
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _remembered_digest(files: list[Path], root: Path) -> str:
    """Digest of weight files, remembered by path, size and time of change: they can be large."""
    memory = root / "models" / "fingerprints.json"
    stamp = "|".join(f"{f}:{f.stat().st_size}:{f.stat().st_mtime_ns}" for f in files)
    known = dict(_read_memory(memory))
    if stamp not in known:
        known[stamp] = _digest_files(files)
        try:
            memory.parent.mkdir(parents=True, exist_ok=True)
            draft = memory.with_suffix(f".{hashlib.sha256(stamp.encode()).hexdigest()[:8]}")
            draft.write_text(json.dumps(known, indent=1), encoding="utf-8")
            draft.replace(memory)
        except OSError:
            pass  # a read-only store only costs the digest again
    return known[stamp]


def _read_memory(path: Path) -> Iterator[tuple[str, str]]:
    try:
        yield from json.loads(path.read_text(encoding="utf-8")).items()
    except (OSError, ValueError, AttributeError):
        return
