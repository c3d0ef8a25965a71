"""Where the content of an attachment comes from: octets, files, streams; read in pieces, as often as needed.

What a file holds must not change between being attached and being sent: it is an error if its size does.
"""

import io
import os
from collections.abc import Iterator
from os import stat_result
from pathlib import Path
from stat import S_ISREG
from typing import Any, NoReturn, Protocol, TypeAlias, cast

from smtpx.wire.syntax import escape

__all__ = ["BinaryStream", "Contents", "DescriptorContents", "FileContents", "OctetContents", "contents_of"]

_PIECE_BYTES = 262_144
_IN_MEMORY_BYTES = 1 << 20
_BUFFERED = (io.BufferedReader, io.BufferedRandom)


class BinaryStream(Protocol):
    """What octets can be read from."""

    def read(self, size: int, /) -> bytes | None:
        """Up to so many octets, none of them at the end."""
        ...


class OctetContents:
    """Octets that are at hand."""

    __slots__ = ("data", "size")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    def pieces(self) -> Iterator[bytes]:
        """All of it."""
        yield self.data


class FileContents:
    """A file that is opened anew each time.

    Raises:
        ValueError: if it is not there, or not a regular file.
    """

    __slots__ = ("path", "size")

    def __init__(self, path: Path) -> None:
        try:
            facts: stat_result = path.stat()
        except OSError as error:
            raise ValueError(f"{path} can't be read: {error.strerror}") from error
        if not S_ISREG(facts.st_mode):
            raise ValueError(f"{path} is not a regular file")
        self.path = path
        self.size = facts.st_size

    def pieces(self) -> Iterator[bytes]:
        """The file in pieces.

        Raises:
            ValueError: if it can't be read, or has another size now.
        """
        try:
            with self.path.open("rb", buffering=0) as file:
                yield from _counted(file, self.size, str(self.path))
        except OSError as error:
            raise ValueError(f"{self.path} can't be read: {error.strerror}") from error


class DescriptorContents:
    """An open file from some place on, by a descriptor of its own: it stays readable when its stream is closed.

    It is read without a position that others could move, so by any number of threads.
    """

    __slots__ = ("_descriptor", "_start", "size")

    def __init__(self, descriptor: int, start: int) -> None:
        self._descriptor = os.dup(descriptor)
        self._start = start
        self.size = max(os.fstat(descriptor).st_size - start, 0)

    def pieces(self) -> Iterator[bytes]:
        """The file in pieces.

        Raises:
            ValueError: if it can't be read, or has another size now.
        """
        position = self._start
        while piece := _read_at(self._descriptor, _PIECE_BYTES, position):
            position += len(piece)
            yield piece
        _check_size(position - self._start, self.size, "a stream")

    def __copy__(self) -> "DescriptorContents":
        return self  # a second owner would close the descriptor a second time, which is somebody else's by then

    def __deepcopy__(self, memo: object) -> "DescriptorContents":
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("an open file can't be pickled: attach its Path")

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            os.close(self._descriptor)


def _read_at(descriptor: int, size: int, position: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(descriptor, size, position)
    os.lseek(descriptor, position, os.SEEK_SET)  # Windows: one thread at a time
    return os.read(descriptor, size)


Contents: TypeAlias = OctetContents | FileContents | DescriptorContents


def contents_of(content: object) -> Contents:
    """Contents from what a caller gave.

    Raises:
        TypeError: if it is of a kind that holds no octets. Text is never taken for a path.
        ValueError: if it can't be read.
    """
    if isinstance(content, Contents):
        return content
    if isinstance(content, bytes | bytearray | memoryview):
        return OctetContents(bytes(cast("bytes", content)))
    if isinstance(content, Path):
        return FileContents(content)
    if isinstance(content, str):
        raise TypeError("text is no attachment: a file is Path(...), a text Attachment.of_text(...)")
    if hasattr(content, "read"):
        return _from_stream(cast("BinaryStream", content))
    raise TypeError(f"an attachment is bytes, a Path or a binary stream, not {type(content).__name__}")


def _from_stream(stream: BinaryStream) -> Contents:
    """What a stream has from here on. An open file is read later; anything else is read now, and kept."""
    if _is_open_file(stream):
        file = cast("io.BufferedRandom", stream)
        file.flush()
        return DescriptorContents(file.fileno(), file.tell())
    import tempfile  # only for such streams

    with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as kept:
        while piece := _checked(stream.read(_PIECE_BYTES)):
            kept.write(piece)
        if kept.tell() > _IN_MEMORY_BYTES:
            kept.flush()
            return DescriptorContents(kept.fileno(), 0)
        kept.seek(0)
        return OctetContents(kept.read())


def _is_open_file(stream: object) -> bool:
    """Whether it is a regular file itself, not something that stands on one, such as a stream that decompresses."""
    raw: object = cast("Any", stream).raw if isinstance(stream, _BUFFERED) else stream
    return isinstance(raw, io.FileIO) and S_ISREG(os.fstat(raw.fileno()).st_mode)


def _checked(piece: object) -> bytes:
    if isinstance(piece, bytes):
        return piece
    what = "nothing for now" if piece is None else type(piece).__name__
    raise ValueError(f"a stream of an attachment gave {escape(what)}: it has to be a binary one that blocks")


def _counted(file: io.FileIO, size: int, name: str) -> Iterator[bytes]:
    count = 0
    while piece := file.read(_PIECE_BYTES):
        count += len(piece)
        yield piece
    _check_size(count, size, name)


def _check_size(count: int, size: int, name: str) -> None:
    if count != size:
        raise ValueError(f"{name} had {size} octets when it was attached, and now has {count}")
