"""Files read as UTF-8 and written in one step."""

import os
import threading
from pathlib import Path

import pytest

from bridgex_core.errors import InputError
from bridgex_core.text_files import read_text, write_file


def no_room(*_args, **_more):
    raise OSError(28, "No space left on device")


def test_a_file_is_replaced_in_one_step(tmp_path, monkeypatch):
    file = tmp_path / "matrix.csv"
    link = tmp_path / "link.csv"
    write_file(file, b"old")
    link.symlink_to(file)
    write_file(link, b"new")
    assert (file.read_bytes(), link.is_symlink()) == (b"new", True)

    monkeypatch.setattr(Path, "replace", no_room)
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


def test_text_is_utf8_without_a_byte_order_mark(tmp_path):
    file = tmp_path / "text.txt"
    file.write_bytes(b"\xef\xbb\xbfwazi\r\n")
    assert read_text(file) == "wazi\r\n"
    for content, told in ((b"ab\xff", "byte 0xff at offset 2"), (b"a\0", "NUL byte at offset 1")):
        file.write_bytes(content)
        with pytest.raises(InputError, match=told):
            read_text(file)
    with pytest.raises(InputError, match="can't be read"):
        read_text(tmp_path / "missing")


def test_folders_are_made_on_request_only(tmp_path):
    file = tmp_path / "new" / "file"
    with pytest.raises(InputError, match="can't be written"):
        write_file(file, b"x")
    write_file(file, b"x", parents=True)
    assert file.read_bytes() == b"x"
