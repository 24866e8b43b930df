"""Writes the vectors that stand in services/log/tests/vectors/aics: made by aics-tlog and aics-witness alone.

    python make_vectors.py OUT

A log of 300 entries `entry <n>` with its tiles, a signed and cosigned checkpoint, and a submission to a witness that
holds 150 of them. Keys are of fixed seeds: two runs write the same bytes.
"""

from __future__ import annotations

import sys
from pathlib import Path

from aics_tlog import (
    Checkpoint,
    MerkleTree,
    Note,
    cosignature_vkey,
    format_vkey,
    sign_checkpoint,
    sign_cosignature,
    vkey_from_ed25519,
)
from aics_tlog.tiles import TileWriter
from aics_witness.protocol import format_add_checkpoint_request, format_signature_line
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ORIGIN, WITNESS, TIME = "log.example/vectors", "witness.example/w1", 1_700_000_000
SIZE, OLD = 300, 150


def main() -> None:
    out = Path(sys.argv[1])
    log, witness = (Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32) for seed in (17, 34))
    leaves = [b"entry %d" % index for index in range(SIZE)]
    TileWriter(leaves).write_to(out)
    tree = MerkleTree(leaves)
    head = Checkpoint(ORIGIN, SIZE, tree.root())
    signed = sign_checkpoint(head, log, ORIGIN)
    _, line = sign_cosignature(witness, WITNESS, TIME, ORIGIN, SIZE, head.root)
    cosigned = Note(text=signed.text, signatures=(*signed.signatures, line))
    request = format_add_checkpoint_request(
        OLD, tree.consistency_proof(OLD, SIZE), signed.serialise().encode()
    )
    keys = [vkey_from_ed25519(ORIGIN, log.public_key()), cosignature_vkey(WITNESS, witness.public_key())]
    (out / "checkpoint").write_bytes(cosigned.serialise().encode())
    (out / "request").write_bytes(request)
    (out / "answer").write_bytes(format_signature_line(line).encode())
    (out / "keys").write_text("".join(f"{format_vkey(key)}\n" for key in keys))


if __name__ == "__main__":
    main()
