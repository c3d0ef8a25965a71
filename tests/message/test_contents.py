"""Files and streams: read in pieces, any number of times, and never something else than was attached."""

# ruff: noqa: ANN401 - values of any kind
import copy
import gzip
import io
import os
import pickle
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from smtpx.message.contents import DescriptorContents, FileContents, OctetContents, contents_of


def test_octets() -> None:
    for given in (b"abc", bytearray(b"abc"), memoryview(b"abc")):
        contents = contents_of(given)
        assert isinstance(contents, OctetContents)
        assert (contents.size, [*contents.pieces()]) == (3, [b"abc"])
    assert contents_of(contents) is contents


def test_a_file_is_opened_each_time(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"x" * 600_000)
    contents = contents_of(path)
    assert isinstance(contents, FileContents)
    for _ in range(2):
        assert [len(each) for each in contents.pieces()] == [262_144, 262_144, 75_712]
    path.write_bytes(b"other")
    with pytest.raises(ValueError, match="had 600000 octets when it was attached, and now has 5"):
        list(contents.pieces())
    path.unlink()
    with pytest.raises(ValueError, match="can't be read: No such file"):
        list(contents.pieces())


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="can't be read: No such file"):
        contents_of(tmp_path / "nothing")
    with pytest.raises(ValueError, match="is not a regular file"):
        contents_of(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ValueError, match="is not a regular file"):
        contents_of(tmp_path / "fifo")


def opened(path: Path, kind: str) -> Any:
    return {
        "buffered": lambda: path.open("rb"),
        "raw": lambda: path.open("rb", buffering=0),
        "both": lambda: path.open("r+b"),
    }[kind]()


@pytest.mark.parametrize("kind", ["buffered", "raw", "both"])
def test_an_open_file_is_read_from_where_it_stands(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"skipped" + b"x" * 600_000)
    with opened(path, kind) as stream:
        stream.read(7)
        contents = contents_of(stream)
        assert isinstance(contents, DescriptorContents)
        assert stream.tell() == 7
        first = contents.pieces()
        next(first)
        stream.seek(0)
    assert contents.size == 600_000
    assert len(b"".join(first)) == 600_000 - 262_144
    assert b"".join(contents.pieces()) == b"x" * 600_000  # though it was closed
    path.write_bytes(b"skipped")
    with pytest.raises(ValueError, match="a stream had 600000 octets when it was attached, and now has 0"):
        list(contents.pieces())


def test_what_was_written_and_not_flushed_is_there(tmp_path: Path) -> None:
    with (tmp_path / "x").open("w+b") as stream:
        stream.write(b"abc")
        stream.seek(1)
        assert b"".join(contents_of(stream).pieces()) == b"bc"


def test_any_number_of_threads_may_read(tmp_path: Path) -> None:
    path = tmp_path / "x"
    content = random.Random(1).randbytes(5_000_000)
    path.write_bytes(content)
    with path.open("rb") as stream:
        contents = contents_of(stream)
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: b"".join(contents.pieces()), range(8))) == {content}


def test_without_pread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pread")
    path = tmp_path / "x"
    path.write_bytes(b"skipped" + b"x" * 600_000)
    with path.open("rb") as stream:
        stream.seek(7)
        assert b"".join(contents_of(stream).pieces()) == b"x" * 600_000


def test_what_stands_on_a_file_is_no_file(tmp_path: Path) -> None:
    """A decompressing stream has the descriptor of what is compressed."""
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(b"inside"))
    with gzip.open(path) as stream:
        assert b"".join(contents_of(stream).pieces()) == b"inside"
    with gzip.open(path) as stream, io.BufferedReader(stream) as buffered:  # type: ignore[type-var]
        assert b"".join(contents_of(buffered).pieces()) == b"inside"


def test_a_descriptor_has_one_owner(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    with path.open("rb") as stream:
        contents = contents_of(stream)
    assert copy.copy(contents) is contents
    assert copy.deepcopy([contents]) == [contents]
    with pytest.raises(TypeError, match="attach its Path"):
        pickle.dumps(contents)


def test_no_descriptor() -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        DescriptorContents(-1, 0)


def test_a_pipe_is_no_file() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"abc")
    os.close(writing)
    with open(reading, "rb") as stream:
        assert b"".join(contents_of(stream).pieces()) == b"abc"


def test_memory_from_where_it_stands() -> None:
    stream = io.BytesIO(b"skipped" + b"abc")
    stream.seek(7)
    assert b"".join(contents_of(stream).pieces()) == b"abc"


class Pipe(io.RawIOBase):
    """What can be read once."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._content.read(size)

    def tell(self) -> int:
        raise io.UnsupportedOperation("tell")


@pytest.mark.parametrize("size", [0, 5, 3_000_000])
def test_any_other_stream_is_kept(size: int) -> None:
    contents = contents_of(Pipe(b"x" * size))
    assert contents.size == size
    for _ in range(2):
        assert b"".join(contents.pieces()) == b"x" * size


class Broken(Pipe):
    def read(self, size: int = -1) -> Any:
        if size == 0:
            return b""
        raise ConnectionResetError("gone")


def test_a_stream_that_breaks_is_the_callers_to_hear_of() -> None:
    with pytest.raises(ConnectionResetError):
        contents_of(Broken(b""))


class Nothing(Pipe):
    def read(self, size: int = -1) -> Any:
        return None


def test_text_and_what_is_no_stream() -> None:
    with pytest.raises(ValueError, match="gave str: it has to be a binary one"):
        contents_of(io.StringIO("text"))
    with pytest.raises(ValueError, match="gave nothing for now"):
        contents_of(Nothing(b""))
    with pytest.raises(TypeError, match="a file is Path"):
        contents_of("/etc/passwd")
    with pytest.raises(TypeError, match="not int"):
        contents_of(5)
