"""Verifies an exported log with aics-tlog, which nobody of this project wrote.

    python verify_log.py LOGDIR --vkey VKEY [--mirror VKEY]

LOGDIR holds `checkpoint`, optionally `checkpoints/`, and `tile/` in the layout of C2SP tlog-tiles.
VKEY is a verifier key of C2SP signed-note; `--vkey` may be repeated where the log's key was rotated.
Proves: the log's signature (and the mirrors' cosignatures, if asked), every tile and entry bundle
against the root, inclusion of each entry (of 2,000 spread evenly past that, of 40 in a log of 10,000 or more), consistency with each
kept checkpoint and with prefixes of the log. Then alters copies, each of which must be refused: a
check that accepts everything is found here. `--mirror` asks for a cosignature. An empty log is its
checkpoint alone. Exit status: 0 holds, 1 does not, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path

from aics_tlog import (
    EMPTY_HASH,
    Checkpoint,
    MemoryTileReader,
    MerkleTree,
    VerifiedTileReader,
    VKey,
    audit_tiles,
    consistency_proof_from_tiles,
    inclusion_proof_from_tiles,
    parse_checkpoint,
    parse_note,
    parse_vkey,
    verify_checkpoint,
    verify_consistency,
    verify_leaf_inclusion,
    vkey_from_ed25519,
)
from aics_tlog.tiles import parse_entry_bundle_path, parse_tile_path
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from logdir import LogDir, Refused, flip

SAMPLE = 2000
# The library hashes a good part of the tree anew for each proof: a large log has fewer proven.
LARGE, SAMPLE_OF_LARGE = 10_000, 40


def main() -> int:
    parser = argparse.ArgumentParser(description="verify an exported log with aics-tlog")
    parser.add_argument("logdir", type=Path)
    parser.add_argument("--vkey", action="append", required=True, type=parse_vkey)
    parser.add_argument("--mirror", action="append", default=[], type=parse_vkey)
    args = parser.parse_args()
    try:
        print(report(args.logdir, args.vkey, args.mirror))
    except Refused as why:
        print(f"REFUSED {args.logdir}: {why}", file=sys.stderr)
        return 1
    return 0


def report(logdir: Path, vkeys: list[VKey], mirrors: list[VKey]) -> str:
    """What held, in a line; `Refused` if anything did not."""
    log = LogDir.load(logdir)
    head, proofs, prefixes = verify(log, vkeys, mirrors)
    controls = refuse_all(log, vkeys)
    return (
        f"ok {head.origin}: {head.size} entries, {proofs} inclusion proofs, {prefixes} consistency "
        f"proofs, {len(mirrors)} mirror keys; {controls} altered copies refused"
    )


def verify(log: LogDir, vkeys: list[VKey], mirrors: list[VKey]) -> tuple[Checkpoint, int, int]:
    """The head and how many inclusion and consistency proofs held; `Refused` if anything does not."""
    try:
        head = signed_head(log.checkpoint, vkeys, mirrors)
        if head.size == 0:
            return empty(log, head)
        reader = MemoryTileReader(log.tiles)
        audit_tiles(reader, head.size, head.root)
        proven = VerifiedTileReader(reader, head.size, head.root)
        check_every_file(log.tiles, proven)
        return head, check_inclusion(proven, head), check_consistency(log, proven, head, vkeys)
    except (ValueError, OSError) as error:
        raise Refused(str(error)) from None


def empty(log: LogDir, head: Checkpoint) -> tuple[Checkpoint, int, int]:
    """The log without entries has one root, and nothing else."""
    if head.root != EMPTY_HASH or log.tiles or log.kept:
        raise Refused("an empty log with a root, tiles or earlier checkpoints of its own")
    return head, 0, 0


def signed_head(note: bytes, vkeys: list[VKey], mirrors: list[VKey]) -> Checkpoint:
    """The checkpoint in `note`, signed by one of `vkeys` under its own origin and by all `mirrors`."""
    parsed = parse_note(note)
    errors = []
    for vkey in vkeys:
        result = verify_checkpoint(
            parsed, vkey, mirrors, quorum=len(mirrors), expected_origin=vkey.name
        )
        if result.ok:
            return parse_checkpoint(parsed.text)
        errors.append(result.error or "not verified")
    raise Refused(f"checkpoint: {'; '.join(errors)}")


def check_every_file(tiles: dict[str, bytes], proven: VerifiedTileReader) -> None:
    """Each file is a resource of this tree and its bytes are proven, older partial tiles included."""
    for path, data in tiles.items():
        if path.startswith("tile/entries/"):
            expected = proven.read_entry_bundle(*parse_entry_bundle_path(path))
        else:
            expected = proven.read_tile(*parse_tile_path(path))
        if expected != data:
            raise Refused(f"{path}: not a resource of the tree that the checkpoint signs")


def check_inclusion(proven: VerifiedTileReader, head: Checkpoint) -> int:
    count = min(head.size, SAMPLE if head.size < LARGE else SAMPLE_OF_LARGE)
    for step in range(count):
        index = step * (head.size - 1) // max(count - 1, 1)
        proof = inclusion_proof_from_tiles(proven, index, head.size)
        if not verify_leaf_inclusion(proven.entry(index), index, head.size, proof, head.root):
            raise Refused(f"entry {index}: no proof of inclusion")
    return count


def check_consistency(
    log: LogDir, proven: VerifiedTileReader, head: Checkpoint, vkeys: list[VKey]
) -> int:
    """Kept checkpoints and prefixes of the log are consistent with its head."""
    older = {name: signed_head(note, vkeys, []) for name, note in log.kept.items()}
    tree = MerkleTree((proven.entry(i) for i in range(head.size)), level_cache_sizes=0)
    for size in sorted({1, head.size // 2, head.size - 1, 1 << (head.size.bit_length() - 1)} - {0}):
        older[f"prefix of {size}"] = Checkpoint(head.origin, size, tree.root(size))
    for name, old in older.items():
        if old.size == 0:
            if old.root != EMPTY_HASH:
                raise Refused(f"{name}: the empty log has another root")
            continue
        proof = consistency_proof_from_tiles(proven, old.size, head.size)
        if not verify_consistency(old.size, head.size, old.root, head.root, proof):
            raise Refused(f"{name}: not consistent with the checkpoint of size {head.size}")
    return len(older)


def refuse_all(log: LogDir, vkeys: list[VKey]) -> int:
    """How many altered copies were refused; `Refused` names the first that was accepted."""
    count = 0
    for what, altered, keys in altered_copies(log, vkeys):
        try:
            verify(altered, keys, [])
        except Refused:
            count += 1
            continue
        raise Refused(f"control failed: {what} was accepted")
    return count


def altered_copies(log: LogDir, vkeys: list[VKey]) -> Iterator[tuple[str, LogDir, list[VKey]]]:
    stranger = Ed25519PrivateKey.generate().public_key()
    yield "another key of the same name", log, [vkey_from_ed25519(vkeys[0].name, stranger)]

    origin, size, rest = log.checkpoint.split(b"\n", 2)
    for what, text in {
        "a checkpoint of another size": b"%b\n%d\n%b" % (origin, abs(int(size) - 1), rest),
        "a checkpoint with another root": b"%b\n%b\n%b" % (origin, size, _other_root(rest)),
    }.items():
        yield what, dataclasses.replace(log, checkpoint=text), vkeys

    # One file of each kind and level, the rightmost of it.
    last_of_kind = {path.split("/")[1]: path for path in log.tiles}
    for path in last_of_kind.values():
        data = log.tiles[path]
        for at in {0, len(data) // 2, len(data) - 1}:
            tiles = log.tiles | {path: flip(data, at)}
            yield f"{path} with byte {at} flipped", dataclasses.replace(log, tiles=tiles), vkeys
        for cut in {1, min(len(data), 32)}:
            tiles = log.tiles | {path: data[:-cut]}
            yield f"{path} without its last {cut} bytes", dataclasses.replace(log, tiles=tiles), vkeys
        tiles = {p: d for p, d in log.tiles.items() if p != path}
        yield f"{path} removed", dataclasses.replace(log, tiles=tiles), vkeys


def _other_root(rest: bytes) -> bytes:
    return (b"A" if rest[:1] != b"A" else b"B") + rest[1:]


if __name__ == "__main__":
    sys.exit(main())
