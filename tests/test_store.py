"""The store: whole entries or none, whatever happens to the process or the files."""

import contextlib
import errno
import hashlib
import json
import logging
import lzma
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from bridgex_core import entries, store
from bridgex_core.entries import DamageError
from bridgex_core.errors import InputError
from bridgex_core.store import Store, default_store, entry_key, open_store, software_versions

FORK = multiprocessing.get_context("fork")
KEY = "ab" + "0" * 30
OTHER = "cd" + "1" * 30
TENSORS = {"counts": np.arange(12).reshape(3, 4), "sums": np.linspace(0, 1, 5)}


@pytest.fixture
def place(tmp_path):
    return Store(tmp_path / "store")


def numbered(index: int) -> str:
    return f"{index * 0x9E3779B1 % 2**32:032x}"  # spread over the two-digit folders


def folder_of(base: Path, key: str = KEY) -> Path:
    return base / "stats" / key[:2] / key


def leftovers(place: Store) -> list[Path]:
    return sorted((place.root / "tmp").glob("*"))


def dead_pid() -> int:
    process = FORK.Process(target=lambda: None)
    process.start()
    process.join()
    return process.pid


# -- keys and manifests --------------------------------------------------------------------------


def test_the_key_is_the_digest_of_canonical_json():
    text = '{"identity":{"a":[1,{"b":null}],"rate":0.5,"text":"\\u65e5"},"kind":"stats"}'
    expected = hashlib.sha256(text.encode()).hexdigest()[:32]
    assert entry_key("stats", text="日", rate=0.5, a=(1, {"b": None})) == expected


def test_kind_and_every_part_of_the_identity_make_the_key():
    identities = [{}, {"a": 1}, {"a": "1"}, {"a": True}, {"a": None}, {"b": 1}, {"a": {"b": 1}}]
    keys = [entry_key(kind, **one) for kind in ("stats", "probe") for one in identities]
    assert len(set(keys)) == len(keys)


def test_an_identity_that_json_cannot_hold_is_refused():
    with pytest.raises(TypeError):
        entry_key("stats", model=Path("x"))
    with pytest.raises(InputError):
        entry_key("stats", rate=float("nan"))


@pytest.mark.parametrize("kind", ["", "A", "../x", "jobs", "parts", "tmp", "a/b", "stats\n"])
def test_odd_kinds_are_refused(place, kind):
    with pytest.raises(InputError, match="kind"):
        entry_key(kind)
    with pytest.raises(InputError, match="kind"):
        place.has(kind, KEY)
    with pytest.raises(InputError, match="kind"):
        list(place.entries(kind))


@pytest.mark.parametrize("key", ["", "ab", "../" * 10, KEY.upper(), KEY + "\n"])
def test_odd_keys_are_refused(place, key):
    with pytest.raises(InputError, match="32 hex"):
        place.load("stats", key)


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "a\n"])
def test_odd_part_and_lock_names_are_refused(place, name):
    with pytest.raises(InputError, match="letters"):
        place.save_part("stats", KEY, name, TENSORS, {})
    with pytest.raises(InputError, match="letters"), place.lock(name):
        pass


def test_versions_name_the_software_that_shapes_results():
    versions = software_versions()
    assert versions["numpy"] == np.__version__
    assert versions["python"] == ".".join(map(str, sys.version_info[:3]))
    assert versions.keys() == {"bridgex", "python", "torch", "transformers", "numpy"}


def test_neither_store_nor_jobs_load_torch_or_a_page():
    code = (
        "import sys, bridgex_core.store, bridgex_core.jobs as j; bridgex_core.store."
        "software_versions(); print({'torch', 'transformers', 'streamlit'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# -- save, load, list, delete --------------------------------------------------------------------


def test_what_is_saved_is_found(place):
    assert not place.has("stats", KEY)
    assert place.load("stats", KEY) is None
    written = place.save("stats", KEY, TENSORS, {"language": "swh_Latn"})
    assert place.has("stats", KEY)
    assert place.manifest("stats", KEY) == written
    entry = Store(place.root).load("stats", KEY)
    assert (entry.kind, entry.key, entry.manifest) == ("stats", KEY, written)
    assert written["language"] == "swh_Latn"
    for name, array in TENSORS.items():
        np.testing.assert_array_equal(entry.tensors[name], array, strict=True)
    assert list(place.load("stats", KEY, ["sums"]).tensors) == ["sums"]
    assert {p.name for p in folder_of(place.root).iterdir()} == {
        "data.safetensors",
        "manifest.json",
    }
    assert not leftovers(place)


def test_an_entry_that_is_there_stays(place):
    first = place.save("stats", KEY, {"a": np.zeros(2)}, {"by": "first"})
    assert place.save("stats", KEY, {"a": np.ones(2)}, {"by": "second"}) == first
    assert place.load("stats", KEY).tensors["a"].tolist() == [0, 0]
    assert not leftovers(place)


def test_entries_usage_and_delete(place):
    for key in (OTHER, KEY):
        place.save("stats", key, TENSORS, {"n": key[:2]})
    place.save("probe", KEY, {}, {})
    place.save_part("stats", KEY, "block-1", TENSORS, {})
    (place.root / "stats" / "notes.txt").write_text("not an entry")
    assert [(key, m["n"]) for key, m in place.entries("stats")] == [(KEY, "ab"), (OTHER, "cd")]
    assert list(place.entries("nothing")) == []
    usage = place.usage()
    sizes = [p.stat().st_size for p in place.root.glob("**/stats/??/**/*") if p.is_file()]
    assert len(sizes) == 6
    assert usage["stats"] == (2, sum(sizes))
    assert usage.keys() == {"stats", "probe"}
    place.delete("stats", KEY)
    place.delete("stats", KEY)
    assert [key for key, _ in place.entries("stats")] == [OTHER]
    assert place.parts("stats", KEY) == ()
    assert not leftovers(place)


def test_parts_are_kept_until_dropped(place):
    assert place.parts("stats", KEY) == ()
    assert place.load_parts("stats", KEY) == {}
    for name in ("block-10", "block-02"):
        place.save_part("stats", KEY, name, {"name": np.array([len(name)])}, {"block": name})
    assert place.parts("stats", KEY) == ("block-02", "block-10")
    parts = Store(place.root).load_parts("stats", KEY)
    assert [(n, p.manifest["block"]) for n, p in parts.items()] == [(n, n) for n in sorted(parts)]
    assert not place.has("stats", KEY)
    place.drop_parts("stats", KEY)
    place.drop_parts("stats", KEY)
    assert place.parts("stats", KEY) == ()


def test_where_the_default_store_is(tmp_path, monkeypatch):
    monkeypatch.setenv("BRIDGEX_STORE", str(tmp_path / "mine"))
    assert default_store().root == open_store(None).root == tmp_path / "mine"
    assert open_store(tmp_path / "other").root == tmp_path / "other"
    monkeypatch.delenv("BRIDGEX_STORE")
    project = Path(store.__file__).parent.parent
    assert default_store().root == project / "cache"
    assert default_store().bundled == project / "bridgex_core" / "data" / "results"


# -- bundled results -----------------------------------------------------------------------------


def bundle(tmp_path: Path, *, packed: bool) -> Path:
    maker = Store(tmp_path / "bundle")
    maker.save("stats", KEY, TENSORS, {"by": "bundle"})
    if packed:
        data = folder_of(maker.root) / "data.safetensors"
        data.with_name("data.safetensors.xz").write_bytes(lzma.compress(data.read_bytes()))
        data.unlink()
    return maker.root


@pytest.mark.parametrize("packed", [False, True])
def test_bundled_results_are_found_behind_the_store(tmp_path, packed):
    place = Store(tmp_path / "store", bundled=bundle(tmp_path, packed=packed))
    before = sorted(p for p in tmp_path.rglob("*"))
    assert place.has("stats", KEY)
    assert list(place.load("stats", KEY, ["sums"]).tensors) == ["sums"]
    np.testing.assert_array_equal(place.load("stats", KEY).tensors["counts"], TENSORS["counts"])
    assert [m["by"] for _, m in place.entries("stats")] == ["bundle"]
    assert place.usage() == {}
    assert sorted(p for p in tmp_path.rglob("*")) == before, "nothing is cached"
    place.save("stats", KEY, TENSORS, {"by": "user"})
    assert [m["by"] for _, m in place.entries("stats")] == ["user"]
    place.delete("stats", KEY)
    assert place.manifest("stats", KEY)["by"] == "bundle"


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("spoil", ["cut", "flip"])
@pytest.mark.parametrize("inside", [False, True])
def test_a_damaged_bundled_result_is_reported_and_left(tmp_path, caplog, packed, spoil, inside):
    bundled = bundle(tmp_path, packed=packed)
    data = next(folder_of(bundled).glob("data.*"))
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 4
    data.write_bytes(content[: -20 if spoil == "cut" else None])
    # A store above the bundle must not move it either.
    place = Store(tmp_path if inside else tmp_path / "store", bundled=bundled)
    with caplog.at_level(logging.WARNING):
        assert place.load("stats", KEY) is None
        assert place.load("stats", KEY) is None
    assert [str(folder_of(bundled)) in r.getMessage() for r in caplog.records] == [True]
    assert data.exists()
    place.save("stats", KEY, TENSORS, {"by": "user"})
    assert place.load("stats", KEY).manifest["by"] == "user"


# -- damage --------------------------------------------------------------------------------------


def rewrite(path: Path, change) -> None:
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def fake_tensors(folder: Path) -> None:
    content = b"x" * 40
    (folder / "data.safetensors").write_bytes(content)
    checksum = hashlib.sha256(content).hexdigest()
    rewrite(folder / "manifest.json", lambda m: m.update(checksum=checksum, bytes=40))


DAMAGE = {
    "no data": lambda f: (f / "data.safetensors").unlink(),
    "no manifest": lambda f: (f / "manifest.json").unlink(),
    "empty folder": lambda f: [p.unlink() for p in list(f.iterdir())],
    "data cut": lambda f: os.truncate(f / "data.safetensors", 50),
    "data empty": lambda f: os.truncate(f / "data.safetensors", 0),
    "data flipped": lambda f: flip(f / "data.safetensors"),
    "not tensors": fake_tensors,
    "manifest cut": lambda f: os.truncate(f / "manifest.json", 30),
    "manifest binary": lambda f: (f / "manifest.json").write_bytes(b"\xff\x00\xfe"),
    "manifest a list": lambda f: (f / "manifest.json").write_text("[1]"),
    "manifest too deep": lambda f: (f / "manifest.json").write_text("[" * 100_000),
    "other schema": lambda f: rewrite(f / "manifest.json", lambda m: m.update(schema=2)),
    "no schema": lambda f: rewrite(f / "manifest.json", lambda m: m.pop("schema")),
    "no checksum": lambda f: rewrite(f / "manifest.json", lambda m: m.pop("checksum")),
    "odd size": lambda f: rewrite(f / "manifest.json", lambda m: m.update(bytes="7")),
    "other checksum": lambda f: rewrite(f / "manifest.json", lambda m: m.update(checksum="0")),
}
SEEN_ONLY_BY_READING = {"data flipped", "not tensors", "other checksum"}


@pytest.mark.parametrize("sort", DAMAGE)
def test_a_damaged_entry_is_set_aside_named_and_made_again(place, caplog, sort):
    place.save("stats", KEY, TENSORS, {})
    place.save("stats", OTHER, TENSORS, {})
    DAMAGE[sort](folder_of(place.root))
    assert place.has("stats", KEY) == (sort in SEEN_ONLY_BY_READING)
    assert place.load("stats", KEY) is None
    assert not place.has("stats", KEY)
    (moved,) = (place.root / "damaged").iterdir()
    assert moved.name.endswith(f"Z-stats-{KEY}")
    (record,) = caplog.records
    assert f"stats-{KEY} is damaged" in record.getMessage()
    assert str(moved) in record.getMessage()
    assert [key for key, _ in place.entries("stats")] == [OTHER]
    place.save("stats", KEY, TENSORS, {})
    assert place.load("stats", KEY) is not None


@pytest.mark.parametrize("sort", sorted(DAMAGE.keys() - SEEN_ONLY_BY_READING))
def test_saving_over_a_damaged_entry_replaces_it(place, sort):
    place.save("stats", KEY, {"a": np.zeros(1)}, {"by": "first"})
    DAMAGE[sort](folder_of(place.root))
    assert place.save("stats", KEY, TENSORS, {"by": "second"})["by"] == "second"
    assert place.load("stats", KEY).manifest["by"] == "second"


@pytest.mark.parametrize("sort", DAMAGE)
def test_a_damaged_part_is_set_aside_and_the_others_kept(place, sort):
    for name in ("a", "b"):
        place.save_part("stats", KEY, name, TENSORS, {})
    DAMAGE[sort](folder_of(place.root / "parts") / "a")
    assert list(place.load_parts("stats", KEY)) == ["b"]
    (moved,) = (place.root / "damaged").iterdir()
    assert moved.name.endswith(f"-stats-{KEY}-a")


def test_a_damaged_entry_falls_through_to_the_bundle(tmp_path):
    place = Store(tmp_path / "store", bundled=bundle(tmp_path, packed=True))
    place.save("stats", KEY, TENSORS, {"by": "user"})
    flip(folder_of(place.root) / "data.safetensors")
    assert place.load("stats", KEY).manifest["by"] == "bundle"


def test_an_entry_mended_meanwhile_is_not_set_aside(place, monkeypatch, caplog):
    place.save("stats", KEY, TENSORS, {})

    def stale(*_args, **_options):
        monkeypatch.undo()
        raise DamageError("seen before another process mended it")

    monkeypatch.setattr(store, "read_folder", stale)
    assert place.load("stats", KEY) is None
    assert place.load("stats", KEY) is not None
    assert not caplog.records


def test_an_entry_that_cannot_be_moved_is_reported_and_not_used(place, monkeypatch, caplog):
    place.save("stats", KEY, TENSORS, {})
    (folder_of(place.root) / "manifest.json").unlink()
    monkeypatch.setattr(Path, "rename", failing(errno.EROFS))
    assert place.load("stats", KEY) is None
    assert "could not be moved" in caplog.text


# -- full and closed disks -----------------------------------------------------------------------


def failing(number: int):
    def fail(*_args, **_options):
        raise OSError(number, os.strerror(number))

    return fail


def assert_nothing_half_written(place: Store) -> None:
    assert not leftovers(place)
    assert not place.has("stats", KEY)
    assert place.parts("stats", KEY) == ()
    assert not (place.root / "damaged").exists()


SAVES = {
    "entry": lambda place: place.save("stats", KEY, TENSORS, {}),
    "part": lambda place: place.save_part("stats", KEY, "a", TENSORS, {}),
}


@pytest.mark.parametrize("save", SAVES)
@pytest.mark.parametrize(
    ("target", "number", "sentence"),
    [
        ((os, "fsync"), errno.ENOSPC, "is full: free some space, or choose another folder"),
        ((os, "fsync"), errno.EDQUOT, "is full: free some space, or choose another folder"),
        ((Path, "mkdir"), errno.ENOSPC, "is full"),
        ((Path, "open"), errno.ENOSPC, "is full"),
        ((Path, "rename"), errno.ENOSPC, "is full"),
        ((Path, "open"), errno.EROFS, r"cannot be used \(Read-only file system\): make it"),
    ],
)
def test_a_disk_that_refuses_is_told_in_a_sentence(
    place, monkeypatch, save, target, number, sentence
):
    with monkeypatch.context() as patch:
        patch.setattr(*target, failing(number))
        with pytest.raises(InputError, match=sentence) as told:
            SAVES[save](place)
    assert str(place.root) in str(told.value)
    assert "--store or BRIDGEX_STORE" in str(told.value)
    assert "\n" not in str(told.value)
    assert_nothing_half_written(place)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize("name", ["_DATA", "_MANIFEST"])
def test_a_device_that_is_really_full(place, monkeypatch, name):
    monkeypatch.setattr(entries, name, "/dev/full")
    with pytest.raises(InputError, match="is full"):
        place.save("stats", KEY, TENSORS, {})
    monkeypatch.undo()
    assert_nothing_half_written(place)


def test_a_root_that_cannot_be_a_folder(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    for root in (file, file / "below"):
        with pytest.raises(InputError, match="cannot be used") as told:
            Store(root)
        assert str(root) in str(told.value)


@contextlib.contextmanager
def without_rights(folder: Path):
    """The folder may be read and not written to; root gives up being root for that."""
    folder.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)


def test_a_folder_that_may_only_be_read():
    with tempfile.TemporaryDirectory() as above:  # pytest's own folder is closed to others
        Path(above).chmod(0o755)
        closed = Path(above) / "closed"
        Store(closed).save("stats", KEY, TENSORS, {})
        with without_rights(closed):
            with pytest.raises(InputError, match="Permission denied"):
                Store(closed / "new")
            place = Store(closed)
            assert place.load("stats", KEY) is not None
            for attempt in (
                lambda: place.save("stats", OTHER, TENSORS, {}),
                lambda: place.save_part("stats", OTHER, "a", TENSORS, {}),
                lambda: place.write_text("jobs/x", "x"),
                lambda: place.lock("x").__enter__(),
            ):
                with pytest.raises(InputError, match="Permission denied"):
                    attempt()


# -- several processes ---------------------------------------------------------------------------


def content(index: int) -> np.ndarray:
    return np.full(300_000, index, dtype=np.float64)


def save_without_end(root: Path, first: int, writer, as_parts: bool) -> None:
    place = Store(root)
    for index in range(first, first + 10_000):
        if as_parts:
            place.save_part("stats", KEY, str(index), {"a": content(index)}, {"index": index})
        else:
            place.save("stats", numbered(index), {"a": content(index)}, {"index": index})
        os.write(writer, index.to_bytes(4, "big"))


@pytest.mark.parametrize("as_parts", [False, True])
def test_killed_at_any_moment_it_loses_at_most_the_part_in_hand(place, caplog, as_parts):
    random.seed(5)
    acknowledged: set[int] = set()
    interrupted = 0
    for round_ in range(25):
        reader, writer = os.pipe()
        process = FORK.Process(
            target=save_without_end, args=(place.root, round_ * 10_000, writer, as_parts)
        )
        process.start()
        os.close(writer)
        said = os.read(reader, 4)  # it has begun
        time.sleep(random.uniform(0, 0.03))
        process.kill()
        process.join()
        with os.fdopen(reader, "rb") as pipe:
            said += pipe.read()
        acknowledged |= {int.from_bytes(said[i : i + 4], "big") for i in range(0, len(said), 4)}
        interrupted += bool(leftovers(place))
        for path in leftovers(place):
            shutil.rmtree(path)

    if as_parts:
        found = list(place.load_parts("stats", KEY).values())
    else:
        found = [place.load("stats", key) for key, _ in place.entries("stats")]
        folders = list((place.root / "stats").glob("??/*"))
        assert len(folders) == len(found)
    indices = {entry.manifest["index"] for entry in found}
    assert acknowledged <= indices
    assert len(indices) <= len(acknowledged) + 25
    for entry in found:
        np.testing.assert_array_equal(entry.tensors["a"], content(entry.manifest["index"]))
    assert not caplog.records, "nothing was damaged"
    assert interrupted > 5, "the kills did hit while something was being written"


def save_as(root: Path, name: int, barrier, answers) -> None:
    place = Store(root)
    barrier.wait()
    for index in range(20):
        manifest = place.save("stats", numbered(index), {"a": content(name)}, {"by": name})
        answers.put((index, manifest["by"]))


def test_of_many_savers_of_one_key_the_first_is_kept(place):
    barrier, answers = FORK.Barrier(4), FORK.Queue()
    processes = [
        FORK.Process(target=save_as, args=(place.root, name, barrier, answers)) for name in range(4)
    ]
    for process in processes:
        process.start()
    told: dict[int, set[int]] = {}
    for _ in range(80):
        index, by = answers.get(timeout=20)
        told.setdefault(index, set()).add(by)
    for process in processes:
        process.join()
        assert process.exitcode == 0
    for index in range(20):
        entry = place.load("stats", numbered(index))
        assert told[index] == {entry.manifest["by"]}, "everybody was told of the same entry"
        np.testing.assert_array_equal(entry.tensors["a"], content(entry.manifest["by"]))
    assert not leftovers(place)


def hold(root: Path, held, release) -> None:
    with Store(root).lock("collect"):
        held.set()
        release.wait(20)


def test_a_lock_held_by_another_process_is_told(place):
    held, release = FORK.Event(), FORK.Event()
    holder = FORK.Process(target=hold, args=(place.root, held, release))
    holder.start()
    assert held.wait(10)
    with place.lock("other", timeout=0):
        pass
    begin = time.monotonic()
    with (
        pytest.raises(InputError, match=r"Another process .* 'collect' .* over 0.2 s"),
        place.lock("collect", timeout=0.2),
    ):
        pass
    assert 0.2 <= time.monotonic() - begin < 5
    release.set()
    holder.join()
    with place.lock("collect", timeout=5):
        pass


def test_a_killed_holder_leaves_the_lock_free(place):
    held, release = FORK.Event(), FORK.Event()
    holder = FORK.Process(target=hold, args=(place.root, held, release))
    holder.start()
    assert held.wait(10)
    holder.kill()
    holder.join()
    with place.lock("collect", timeout=1):
        pass


def count_up(root: Path, file: Path) -> None:
    place = Store(root)
    for _ in range(40):
        with place.lock("counter", timeout=20):
            file.write_text(str(int(file.read_text()) + 1))


def test_only_one_process_holds_a_lock(place, tmp_path):
    file = tmp_path / "count"
    file.write_text("0")
    processes = [FORK.Process(target=count_up, args=(place.root, file)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert file.read_text() == "80"


def test_an_error_inside_a_lock_is_not_taken_for_the_stores(place):
    with pytest.raises(FileNotFoundError), place.lock("x"):
        raise FileNotFoundError("the caller's own")


# -- tidying -------------------------------------------------------------------------------------


def test_leftovers_of_the_dead_are_cleared_after_a_day(place):
    dead, alive = dead_pid(), os.getpid()
    tmp = place.root / "tmp"
    tmp.mkdir()
    old = time.time() - 90_000
    for name in (f"{dead}-old", f"{dead}-new", f"{alive}-old", "notes-old"):
        (tmp / name).mkdir()
        (tmp / name / "data.safetensors").write_text("half")
    (tmp / f"{dead}-oldfile").write_text("half")
    for path in tmp.glob("*-old*"):
        os.utime(path, (old, old))
    Store(place.root)
    assert {p.name for p in leftovers(place)} == {f"{dead}-new", f"{alive}-old", "notes-old"}


def test_parts_of_finished_work_are_cleared_after_a_day(place):
    for key in (KEY, OTHER):
        place.save_part("stats", key, "a", TENSORS, {})
        old = time.time() - 90_000
        os.utime(folder_of(place.root / "parts", key), (old, old))
    place.save("stats", KEY, TENSORS, {})
    Store(place.root)
    assert place.parts("stats", KEY) == ()
    assert place.parts("stats", OTHER) == ("a",)


def test_small_files_are_replaced_at_once(place):
    place.write_text("jobs/x/state.json", "one")
    place.write_text("jobs/x/state.json", "two")
    assert (place.root / "jobs" / "x" / "state.json").read_text() == "two"
    assert not leftovers(place)
