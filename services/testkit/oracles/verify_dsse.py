"""Verifies the DSSE signatures of an exported log with securesystemslib.

    python verify_dsse.py LOGDIR --spki BASE64 [--spki BASE64 ...]

Each entry is `Entry{bytes statement = 1; repeated Signature{bytes key_id = 1; bytes sig = 2} = 2}`;
each signature covers the DSSE pre-authentication encoding of the exact statement bytes, and `key_id`
is SHA-256 of the key's SubjectPublicKeyInfo in DER. Every signature of every entry must verify under
one of the keys given. Then altered copies must be refused. Exit status: 0 holds, 1 does not, 2 wrong
usage.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_der_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import Key, Signature, SSlibKey

from logdir import LogDir, Refused, flip

PAYLOAD_TYPE = "application/vnd.convenio.statement.v1+protobuf"
LENGTH_DELIMITED = 2


def main() -> int:
    parser = argparse.ArgumentParser(description="verify a log's DSSE signatures")
    parser.add_argument("logdir", type=Path)
    parser.add_argument("--spki", action="append", required=True, type=record_key)
    args = parser.parse_args()
    try:
        print(report(args.logdir, args.spki))
    except Refused as why:
        print(f"REFUSED {args.logdir}: {why}", file=sys.stderr)
        return 1
    return 0


def report(logdir: Path, record_keys: list[Key]) -> str:
    """What held, in a line; `Refused` if anything did not."""
    keys = {key.keyid: key for key in record_keys}
    try:
        entries = LogDir.load(logdir).entries()
    except (ValueError, OSError) as error:
        raise Refused(str(error)) from None
    if not entries:
        raise Refused("the log is empty")
    signatures = sum(verify(index, entry, keys) for index, entry in enumerate(entries))
    controls = sum(refuse_all(index, entries[index], keys) for index in {0, len(entries) - 1})
    return (
        f"ok {logdir.name}: {len(entries)} entries, {signatures} DSSE signatures; "
        f"{controls} altered copies refused"
    )


def record_key(text: str) -> Key:
    der = base64.b64decode(text, validate=True)
    return SSlibKey.from_crypto(load_der_public_key(der), hashlib.sha256(der).hexdigest())


def verify(index: int, entry: bytes, keys: dict[str, Key]) -> int:
    """How many signatures `entry` carries, all of them by `keys`; `Refused` otherwise."""
    statement, signatures = parse_entry(index, entry)
    check(index, envelope(statement, signatures), keys)
    return len(signatures)


def check(index: int, signed: Envelope, keys: dict[str, Key]) -> None:
    if not signed.signatures or signed.signatures.keys() - keys.keys():
        raise Refused(f"entry {index}: signed by no key, or by one that was not given")
    try:
        for keyid in signed.signatures:
            Envelope(
                signed.payload, signed.payload_type, {keyid: signed.signatures[keyid]}
            ).verify([keys[keyid]], 1)
    except VerificationError as error:
        raise Refused(f"entry {index}: {error}") from None


def envelope(statement: bytes, signatures: list[tuple[bytes, bytes]]) -> Envelope:
    by_key = {key_id.hex(): Signature(key_id.hex(), sig.hex()) for key_id, sig in signatures}
    if len(by_key) != len(signatures):
        raise Refused("two signatures by one key")
    return Envelope(statement, PAYLOAD_TYPE, by_key)


def refuse_all(index: int, entry: bytes, keys: dict[str, Key]) -> int:
    """How many altered copies of `entry` were refused; `Refused` names the first accepted."""
    statement, signatures = parse_entry(index, entry)
    key_id, sig = signatures[0]
    other_type = envelope(statement, signatures)
    other_type.payload_type = PAYLOAD_TYPE.replace("v1", "v2")
    copies = {
        "the first statement byte flipped": envelope(flip(statement, 0), signatures),
        "the last statement byte flipped": envelope(flip(statement, len(statement) - 1), signatures),
        "a byte added to the statement": envelope(statement + b"\0", signatures),
        "another payload type": other_type,
        "a signature byte flipped": envelope(statement, [(key_id, flip(sig, len(sig) // 2))]),
        "another key id": envelope(statement, [(flip(key_id, 0), sig)]),
        "no signature": envelope(statement, []),
    }
    for what, copy in copies.items():
        try:
            check(index, copy, keys)
        except Refused:
            continue
        raise Refused(f"control failed: entry {index} with {what} was accepted")
    return len(copies)


def parse_entry(index: int, entry: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """The statement's bytes and the (key id, signature) pairs."""
    statements, signatures = [], []
    for number, value in fields(entry):
        if number == 1:
            statements.append(value)
        elif number == 2:
            parts = dict(fields(value))
            if parts.keys() != {1, 2}:
                raise Refused(f"entry {index}: a signature has other fields than key_id and sig")
            signatures.append((parts[1], parts[2]))
        else:
            raise Refused(f"entry {index}: unknown field {number}")
    if len(statements) != 1 or not signatures:
        raise Refused(f"entry {index}: wants one statement and at least one signature")
    return statements[0], signatures


def fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Field number and value of each length-delimited field; no other wire type occurs here."""
    at = 0
    while at < len(message):
        tag, at = varint(message, at)
        if tag & 7 != LENGTH_DELIMITED:
            raise Refused(f"wire type {tag & 7} where only bytes and messages occur")
        length, at = varint(message, at)
        if at + length > len(message):
            raise Refused("a field runs past the end of its message")
        yield tag >> 3, message[at : at + length]
        at += length


def varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 64:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
    raise Refused("a truncated or overlong varint")


if __name__ == "__main__":
    sys.exit(main())
