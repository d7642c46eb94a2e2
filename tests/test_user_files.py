"""Languages and texts that a user brings along."""

from pathlib import Path

import numpy as np
import pytest

from bridgex_core.corpora import open_corpus
from bridgex_core.errors import InputError
from bridgex_core.store import Store
from bridgex_core.user_files import keep_language, languages_file, own_results, user_register

LINES = [f"Omuntu wena azaarwa aine obugabe {n}." for n in range(40)]
TEXT = "\n".join(LINES).encode()
NEW = {"code": "nyn_Latn", "name": "Nyankole", "autonym": "Runyankore", "script": "Latn"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_a_kept_language_is_in_the_register_and_in_every_corpus(store: Store) -> None:
    keep_language(store, **NEW, text=b"\xef\xbb\xbf" + TEXT, family="Atlantic-Congo")
    known = user_register(store)
    assert known["nyn_Latn"].family == "Atlantic-Congo"
    text = open_corpus("udhr", register=known).text("nyn_Latn")
    assert "\n".join(text.blocks).split("\n") == LINES


def test_a_second_language_joins_the_first(store: Store) -> None:
    keep_language(store, **NEW, text=TEXT)
    keep_language(store, **{**NEW, "code": "lug_Latn", "name": "Ganda"}, text=TEXT)
    assert {"nyn_Latn", "lug_Latn"} <= set(user_register(store).codes)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"code": "../../evil_Latn"}, "FLORES-200 code"),
        ({"code": "swh_Latn"}, "already"),
        ({"script": "Cyrl"}, "script"),
        ({"name": "  "}, "name"),
        ({"text": b""}, "empty"),
        ({"text": b"short\n"}, "too short"),
        ({"text": TEXT + b"\xff\xfe"}, "not UTF-8"),
        ({"text": TEXT + b"\0"}, "NUL"),
    ],
)
def test_what_breaks_a_rule_leaves_nothing_behind(
    store: Store, change: dict, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        keep_language(store, **{**NEW, "text": TEXT, **change})
    assert not languages_file(store).exists()
    assert not list(store.root.glob("**/*.txt"))


def test_a_taken_code_keeps_the_first_text(store: Store) -> None:
    keep_language(store, **NEW, text=TEXT)
    with pytest.raises(InputError, match="already"):
        keep_language(store, **NEW, text=TEXT * 2)
    assert (store.root / "texts" / "nyn_Latn.txt").read_bytes() == TEXT


def test_own_results_leave_out_the_bundled_ones(tmp_path: Path) -> None:
    shipped = Store(tmp_path / "shipped")
    shipped.save("statistics", "0" * 32, {"x": np.zeros(1)}, {"language": "eng_Latn"})
    store = Store(tmp_path / "store", bundled=shipped.root)
    store.save("fluency", "1" * 32, {"x": np.zeros(1)}, {"language": "swh_Latn"})
    found = [(kind, key, manifest["language"]) for kind, key, manifest in own_results(store)]
    assert found == [("fluency", "1" * 32, "swh_Latn")]
