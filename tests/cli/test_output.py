"""Files that commands write."""

import os
import threading
from pathlib import Path

import pytest

from bridgex_core.cli.output import write_file
from bridgex_core.errors import InputError

from .conftest import ACTIVE, disk_full


@pytest.mark.parametrize("option", ["--csv", "--html", "--graphml"])
def test_places_that_cannot_be_written(refused, hand_made, tmp_path, option):
    words = ["spectrum", *hand_made.options, *ACTIVE, "--languages", "sw,en,de"]
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for place in (tmp_path, tmp_path / "no" / "where", loop, tmp_path / ("x" * 300)):
        assert "can't be written" in refused(*words, option, place)


def test_a_file_is_replaced_in_one_step(tmp_path, monkeypatch):
    file = tmp_path / "matrix.csv"
    link = tmp_path / "link.csv"
    write_file(file, b"old")
    link.symlink_to(file)
    write_file(link, b"new")
    assert (file.read_bytes(), link.is_symlink()) == (b"new", True)

    monkeypatch.setattr(Path, "replace", disk_full)
    with pytest.raises(InputError, match="No space left"):
        write_file(file, b"newer")
    assert file.read_bytes() == b"new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.csv", "matrix.csv"]


def test_a_pipe_is_written_to_and_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()), daemon=True)
    reader.start()
    write_file(pipe, b"matrix")
    reader.join(5)
    assert received == [b"matrix"]
    assert pipe.is_fifo()
