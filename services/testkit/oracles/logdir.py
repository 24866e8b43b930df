"""Reads an exported log directory: what the oracles share, and nothing that judges."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aics_tlog import MemoryTileReader, parse_checkpoint, parse_note, read_entry


class Refused(Exception):
    """The bytes are not what the log's keys vouch for."""


@dataclass(frozen=True)
class LogDir:
    """The files of one log, in memory, so that a control can alter a copy.

    checkpoint  the signed note, as stored
    kept        earlier signed notes by file name (`checkpoints/`), often none
    tiles       tiles and entry bundles by their C2SP path (`tile/...`)
    """

    checkpoint: bytes
    kept: dict[str, bytes]
    tiles: dict[str, bytes]

    @classmethod
    def load(cls, root: Path) -> LogDir:
        checkpoint = root / "checkpoint"
        if not checkpoint.is_file():
            raise Refused(f"{root}: no file `checkpoint`")
        return cls(checkpoint.read_bytes(), _files(root, "checkpoints"), _files(root, "tile"))

    def entries(self) -> list[bytes]:
        """Every entry, not yet proven to be in the tree."""
        size = parse_checkpoint(parse_note(self.checkpoint).text).size
        reader = MemoryTileReader(self.tiles)
        return [read_entry(reader, index, size) for index in range(size)]


def flip(data: bytes, at: int) -> bytes:
    """A copy with one bit of byte `at` turned."""
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def _files(root: Path, folder: str) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted((root / folder).rglob("*"))
        if path.is_file()
    }
