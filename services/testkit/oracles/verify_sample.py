"""Verifies logs written by `cargo run -p convenio-log --example logs` with aics-tlog.

    python verify_sample.py LOGDIR...

Beside what verify_log.py proves: that mirror and witness have cosigned every checkpoint, and that our
own receipts (C2SP tlog-proof) and consistency proofs (in bodies of tlog-witness's add-checkpoint)
hold, each of which is then altered and must be refused. Exit status: 0 all hold, 1 one does not.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from aics_tlog import (
    Checkpoint,
    MemoryTileReader,
    VKey,
    leaf_hash,
    parse_vkey,
    read_entry,
    verify_consistency,
    verify_inclusion,
)

import verify_log
from logdir import LogDir, Refused, flip


def main() -> int:
    for folder in map(Path, sys.argv[1:]):
        try:
            print(report(folder))
        except (Refused, ValueError, OSError) as why:
            print(f"REFUSED {folder}: {why}", file=sys.stderr)
            return 1
    return 0


def report(folder: Path) -> str:
    """What held, in a line; `Refused` if anything did not."""
    roles = dict(line.split() for line in (folder / "keys").read_text().splitlines())
    log_key, cosigners = parse_vkey(roles["log"]), [parse_vkey(roles[r]) for r in ("mirror", "witness")]
    log = LogDir.load(folder)
    line = verify_log.report(folder, [log_key], cosigners)
    head = verify_log.signed_head(log.checkpoint, [log_key], cosigners)
    refused = refuse_cosignatures(log.checkpoint, log_key, cosigners)
    receipts = proofs = 0
    if head.size:
        reader = MemoryTileReader(log.tiles)
        for path in sorted((folder / "receipts").iterdir()):
            refused += receipt(path, log.checkpoint, head, reader)
            receipts += 1
        for path in sorted((folder / "submissions").iterdir()):
            old = verify_log.signed_head(log.kept[f"checkpoints/{path.name}"], [log_key], cosigners)
            refused += submission(path, log.checkpoint, old, head)
            proofs += 1
    return f"{line}; {receipts} receipts, {proofs} submissions, {refused} altered ones refused"


def receipt(path: Path, checkpoint: bytes, head: Checkpoint, reader: MemoryTileReader) -> int:
    index = int(path.name)
    leaf = leaf_hash(read_entry(reader, index, head.size))
    hashes = lines(path, f"c2sp.org/tlog-proof@v1\nindex {index}", checkpoint)
    return judge(
        path, hashes, lambda proof: verify_inclusion(leaf, index, head.size, proof, head.root)
    )


def submission(path: Path, checkpoint: bytes, old: Checkpoint, head: Checkpoint) -> int:
    hashes = lines(path, f"old {old.size}", checkpoint)
    return judge(
        path,
        hashes,
        lambda proof: verify_consistency(old.size, head.size, old.root, head.root, proof),
    )


def judge(path: Path, hashes: list[bytes], holds: Callable[[list[bytes]], bool]) -> int:
    """How many altered copies of a proof were refused; `Refused` if it does not hold itself."""
    if not holds(hashes):
        raise Refused(f"{path}: our proof does not hold")
    count = 0
    for altered in alterations(hashes):
        if holds(altered):
            raise Refused(f"control failed: {path}: an altered proof was accepted")
        count += 1
    return count


def alterations(hashes: list[bytes]) -> Iterator[list[bytes]]:
    yield [*hashes, bytes(32)]
    for at in range(len(hashes)):
        yield hashes[:at] + [flip(hashes[at], 7)] + hashes[at + 1 :]
        yield hashes[:at] + hashes[at + 1 :]
        if at:
            yield hashes[: at - 1] + [hashes[at], hashes[at - 1]] + hashes[at + 1 :]


def lines(path: Path, first: str, checkpoint: bytes) -> list[bytes]:
    """The hashes between a first part and a blank line with the checkpoint after it."""
    above, _, below = path.read_bytes().partition(b"\n\n")
    begin, *encoded = above.decode().removeprefix(first).split("\n")
    if begin or below != checkpoint or not above.decode().startswith(first):
        raise Refused(f"{path}: not its first lines, a proof, a blank line and the checkpoint")
    return [base64.b64decode(line, validate=True) for line in encoded]


def refuse_cosignatures(note: bytes, log_key: VKey, cosigners: list[VKey]) -> int:
    """Each signature line is removed and altered: none may be missing, none may fail."""
    text, signatures = note.split(b"\n\n")
    kept = signatures.splitlines(keepends=True)
    count = 0
    for at, line in enumerate(kept):
        for other in ([], [flip(line, len(line) // 2 + 20)]):
            forged = text + b"\n\n" + b"".join(kept[:at] + other + kept[at + 1 :])
            try:
                verify_log.signed_head(forged, [log_key], cosigners)
            except (Refused, ValueError):
                count += 1
                continue
            raise Refused("control failed: an altered signature line was accepted")
    return count


if __name__ == "__main__":
    sys.exit(main())
