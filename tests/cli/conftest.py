"""A command run in this process, and places for it: empty, collected, and made by hand."""

import errno
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bridgex_core import cli
from bridgex_core.activations import ActivationStats
from bridgex_core.collection import STATISTICS, Collection
from bridgex_core.corpora import open_corpus
from bridgex_core.model_sources import find_model
from bridgex_core.store import open_store

SIX = "swh_Latn,eng_Latn,deu_Latn,fin_Latn,hun_Latn,spa_Latn"
LINE = "Everyone has the right to a line of text that is long enough to be counted here.\n"


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """A command, run in this process."""

    def run(*words: object) -> Outcome:
        capsys.readouterr()
        code = cli.main([str(word) for word in words])
        return Outcome(code, *capsys.readouterr())

    return run


@pytest.fixture
def refused(run: Callable[..., Outcome]) -> Callable[..., str]:
    """The one line on standard error of a command that refuses its input."""

    def refused(*words: object) -> str:
        outcome = run(*words)
        assert outcome.code == 2, outcome
        assert outcome.out == ""
        lines = outcome.err.splitlines()
        assert len(lines) == 1, outcome.err
        assert lines[0].startswith("bridgex: ")
        assert "Traceback" not in lines[0]
        assert lines[0].endswith(".")
        return lines[0]

    return refused


@dataclass(frozen=True)
class Place:
    """A store, a model and a corpus, with the options that name them."""

    store: Path
    model: Path
    corpus: Path

    @property
    def options(self) -> list[str]:
        words = {"--store": self.store, "--model": self.model, "--corpus": self.corpus}
        return [str(word) for pair in words.items() for word in pair]

    def collection(self) -> Collection:
        return Collection(find_model(str(self.model), self.store), open_corpus(str(self.corpus)))


@pytest.fixture
def place(tmp_path: Path, tiny_model_folder: Path, folder_corpus: Path) -> Place:
    """An empty store."""
    return Place(tmp_path / "store", tiny_model_folder, folder_corpus)


@pytest.fixture(scope="package")
def collected(
    tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path, folder_corpus: Path
) -> Place:
    """A store with float32 statistics of the six languages; only to be read."""
    place = Place(tmp_path_factory.mktemp("collected"), tiny_model_folder, folder_corpus)
    assert cli.main(["collect", *place.options, "--languages", SIX, "--dtype", "float32"]) == 0
    return place


def disk_full(*_: object, **__: object) -> None:
    """Stands for a write to a disk without room."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


# Neurons 0 to 127 (2 layers × 64) that are active on every token, by language.
HAND_MADE = {
    "swh_Latn": {0, 1, 2, 70},
    "eng_Latn": {1, 2, 3, 70},
    "deu_Latn": {10, 11, 80, 81},
}
ACTIVE = ["--metric", "jaccard", "--selection", "active", "--top-rate", str(4 / 128)]


@pytest.fixture
def hand_made(place: Place) -> Place:
    """A store in which the neuron sets of `ACTIVE` are those of `HAND_MADE`."""
    store, collection = open_store(place.store), place.collection()
    for code, neurons in HAND_MADE.items():
        counts = np.zeros((4, 128), dtype=np.int64)
        counts[:, sorted(neurons)] = 10
        counts = counts.reshape(4, 2, 64)
        stats = ActivationStats(counts, counts / 2, np.full(4, 10))
        key = collection.key(STATISTICS, collection.corpus.text(code))
        store.save(STATISTICS, key, stats.tensors(), {})
    return place
