"""Plays the oracles on logs made here: sound ones pass, each kind of damage is refused.

    python selftest.py

The logs are laid out by code of its own, straight from C2SP tlog-tiles and RFC 6962, not by the
library that then reads them.
"""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

HERE = Path(__file__).parent
ORIGIN = "node.sv.example/agreements/sv-ca/to/node.ca.example/1"
TYPE = b"application/vnd.convenio.statement.v1+protobuf"


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def root(hashes: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, over leaf hashes."""
    if len(hashes) == 1:
        return hashes[0]
    split = 1 << ((len(hashes) - 1).bit_length() - 1)
    return sha256(b"\x01" + root(hashes[:split]) + root(hashes[split:]))


def index_path(index: int) -> str:
    digits = str(index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    return "/".join(["x" + group for group in groups[:-1]] + groups[-1:])


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def field(number: int, value: bytes) -> bytes:
    length, encoded = len(value), b""
    while length >= 0x80:
        encoded += bytes([length & 0x7F | 0x80])
        length >>= 7
    return bytes([number << 3 | 2]) + encoded + bytes([length]) + value


class Log:
    """A log of `size` signed entries and its two keys."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        self.log_key = Ed25519PrivateKey.generate()
        self.record_key = Ed25519PrivateKey.generate()
        self.spki = self.record_key.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
        entries = [self.entry(b"statement %d" % i * 40) for i in range(size)]
        self.hashes = [sha256(b"\x00" + entry) for entry in entries]
        bundles = [len(e).to_bytes(2, "big") + e for e in entries]
        self.tiles("entries", bundles)
        level, row = 0, self.hashes
        while row:
            self.tiles(str(level), row)
            level, row = level + 1, [
                root(row[i : i + 256]) for i in range(0, len(row) - 255, 256)
            ]
        write(folder / "checkpoint", self.checkpoint(size))

    def entry(self, statement: bytes) -> bytes:
        pae = b"DSSEv1 %d %b %d %b" % (len(TYPE), TYPE, len(statement), statement)
        signature = field(1, sha256(self.spki)) + field(2, self.record_key.sign(pae))
        return field(1, statement) + field(2, signature)

    def tiles(self, kind: str, items: list[bytes]) -> None:
        for n in range(-(-len(items) // 256)):
            tile = items[n * 256 : (n + 1) * 256]
            suffix = "" if len(tile) == 256 else f".p/{len(tile)}"
            write(self.folder / f"tile/{kind}/{index_path(n)}{suffix}", b"".join(tile))

    @property
    def key_material(self) -> tuple[bytes, bytes]:
        public = b"\x01" + self.log_key.public_key().public_bytes_raw()
        return sha256(ORIGIN.encode() + b"\n" + public)[:4], public

    @property
    def vkey(self) -> str:
        key_id, public = self.key_material
        return f"{ORIGIN}+{key_id.hex()}+{base64.b64encode(public).decode()}"

    def checkpoint(self, size: int) -> bytes:
        head = base64.b64encode(root(self.hashes[:size])).decode()
        text = f"{ORIGIN}\n{size}\n{head}\n".encode()
        signature = base64.b64encode(self.key_material[0] + self.log_key.sign(text))
        return text + b"\n" + "— ".encode() + ORIGIN.encode() + b" " + signature + b"\n"

    def cosign(self, name: str) -> str:
        """Adds a mirror's cosignature (C2SP tlog-cosignature, Ed25519) and returns its vkey."""
        key = Ed25519PrivateKey.generate()
        public = b"\x04" + key.public_key().public_bytes_raw()
        key_id = sha256(name.encode() + b"\n" + public)[:4]
        note = (self.folder / "checkpoint").read_bytes()
        time = 1_767_000_000
        message = b"cosignature/v1\ntime %d\n" % time + note[: note.index(b"\n\n") + 1]
        blob = base64.b64encode(key_id + time.to_bytes(8, "big") + key.sign(message)).decode()
        write(self.folder / "checkpoint", note + f"— {name} {blob}\n".encode())
        return f"{name}+{key_id.hex()}+{base64.b64encode(public).decode()}"

    def damage(self, path: str) -> None:
        file = self.folder / path
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)


def run(script: str, *args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, HERE / script, *args],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


class Oracles(unittest.TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)

    def log(self, size: int) -> Log:
        return Log(self.folder / str(size), size)

    def verify_log(self, log: Log, vkey: str | None = None) -> subprocess.CompletedProcess[str]:
        return run("verify_log.py", str(log.folder), "--vkey", vkey or log.vkey)

    def verify_dsse(self, log: Log, spki: bytes | None = None) -> subprocess.CompletedProcess[str]:
        key = base64.b64encode(spki or log.spki).decode()
        return run("verify_dsse.py", str(log.folder), "--spki", key)

    def refused(self, result: subprocess.CompletedProcess[str], why: str) -> None:
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
        self.assertIn(why, result.stderr)

    def accepted(self, result: subprocess.CompletedProcess[str]) -> None:
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_sound_logs_of_every_shape_pass(self) -> None:
        for size in (1, 2, 255, 256, 257, 700, 2049):
            with self.subTest(size=size):
                log = self.log(size)
                self.accepted(self.verify_log(log))
                self.accepted(self.verify_dsse(log))

    def test_a_kept_checkpoint_must_be_consistent(self) -> None:
        log = self.log(300)
        write(log.folder / "checkpoints/7", log.checkpoint(7))
        result = self.verify_log(log)
        self.accepted(result)
        self.assertIn("5 consistency", result.stdout)
        log.hashes[3] = sha256(b"another history")
        write(log.folder / "checkpoints/7", log.checkpoint(7))
        self.refused(self.verify_log(log), "not consistent")

    def test_a_mirror_that_is_asked_for_must_have_cosigned(self) -> None:
        log, other = self.log(9), self.log(8)
        mirror, stranger = log.cosign("node.ca.example/mirror/1"), other.cosign("x.example/mirror/1")
        for key, expected in ((mirror, 0), (stranger, 1)):
            args = (str(log.folder), "--vkey", log.vkey, "--mirror", key)
            self.assertEqual(run("verify_log.py", *args).returncode, expected)

    def test_a_bundle_is_whole_or_refused(self) -> None:
        folder = self.folder / "bundle/logs" / sha256(ORIGIN.encode()).hex()
        log = Log(folder, 4)
        keys = [f"{ORIGIN} log {log.vkey}", f"{ORIGIN} record {base64.b64encode(log.spki).decode()}"]
        bundle = str(self.folder / "bundle")
        self.accepted(run("verify_bundle.py", bundle, stdin="\n".join(keys)))
        self.refused(run("verify_bundle.py", bundle, stdin=keys[0]), "no record key")
        self.refused(run("verify_bundle.py", bundle), "no keys")
        other = [line.replace("/1 ", "/2 ") for line in keys]
        self.refused(run("verify_bundle.py", bundle, stdin="\n".join(keys + other)), "logs/")
        write(folder.parent / "stray/checkpoint", b"")
        self.refused(run("verify_bundle.py", bundle, stdin="\n".join(keys)), "stray")

    def test_damage_to_any_file_is_refused(self) -> None:
        for path in ("tile/entries/001.p/44", "tile/entries/000", "tile/0/000", "tile/1/000.p/1"):
            with self.subTest(path=path):
                log = self.log(300)
                log.damage(path)
                self.refused(self.verify_log(log), path if path == "tile/0/000" else "match")

    def test_an_older_partial_tile_is_proven_too(self) -> None:
        log = self.log(300)
        write(log.folder / "tile/0/001.p/3", b"".join(log.hashes[256:259]))
        self.accepted(self.verify_log(log))
        log.damage("tile/0/001.p/3")
        self.refused(self.verify_log(log), "tile/0/001.p/3")

    def test_another_key_is_refused(self) -> None:
        log, other = self.log(5), self.log(6)
        self.refused(self.verify_log(log, other.vkey), "checkpoint")
        self.refused(self.verify_dsse(log, other.spki), "not given")

    def test_an_entry_altered_before_it_was_hashed_fails_dsse_alone(self) -> None:
        log = self.log(5)
        log.damage("tile/entries/000.p/5")
        self.refused(self.verify_dsse(log), "entry 2")


if __name__ == "__main__":
    unittest.main()
