"""Runs both oracles over every log of an exported bundle.

    convenio-audit keys BUNDLE | python verify_bundle.py BUNDLE

Standard input has lines `<origin> <use> <key>`: `log` and `mirror` keys as C2SP verifier keys (a
mirror's stands under the origin of the log that it cosigns), `record` keys as base64 of the
SubjectPublicKeyInfo, `journal` the verifier key of a log whose entries bear no signatures of their own.
Other uses are passed over. The logs are `BUNDLE/logs/<hex sha256(origin)>/`, one
for each origin and no other. Exit status: 0 all hold, 1 one does not, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from aics_tlog import VKey, parse_vkey

import verify_dsse
import verify_log
from logdir import Refused

Keys = dict[str, dict[str, list[str]]]


def main() -> int:
    parser = argparse.ArgumentParser(description="run the oracles over a bundle; keys on stdin")
    parser.add_argument("bundle", type=Path)
    bundle = parser.parse_args().bundle
    try:
        for origin, logdir, uses in logs(bundle, read_keys(sys.stdin)):
            verify(origin, logdir, uses)
    except (Refused, ValueError, OSError) as why:
        print(f"REFUSED {bundle}: {why}", file=sys.stderr)
        return 1
    return 0


def read_keys(lines: Iterable[str]) -> Keys:
    """Keys by origin and use."""
    keys: Keys = defaultdict(lambda: defaultdict(list))
    for line in lines:
        words = line.split()
        if len(words) != 3:
            raise Refused(f"not a line `<origin> <use> <key>`: {line.strip()!r}")
        origin, use, key = words
        keys[origin][use].append(key)
    if not keys:
        raise Refused("no keys on standard input")
    return keys


def logs(bundle: Path, keys: Keys) -> list[tuple[str, Path, dict[str, list[str]]]]:
    """Origin, directory and keys of each log; the bundle has exactly these."""
    expected = {hashlib.sha256(origin.encode()).hexdigest(): origin for origin in keys}
    present = {path.name for path in (bundle / "logs").iterdir()}
    if present != expected.keys():
        odd = ", ".join(sorted(present ^ expected.keys()))
        raise Refused(f"logs/ and the keys' origins differ: {odd}")
    return [(origin, bundle / "logs" / name, keys[origin]) for name, origin in expected.items()]


def verify(origin: str, logdir: Path, uses: dict[str, list[str]]) -> None:
    if journal := uses.get("journal"):
        if set(uses) != {"journal"}:
            raise Refused(f"{origin}: a journal has keys of other logs")
        print(verify_log.report(logdir, named(origin, journal), []))
        return
    for use in ("log", "record"):
        if not uses.get(use):
            raise Refused(f"{origin}: no {use} key")
    vkeys = named(origin, uses["log"])
    mirrors = [parse_vkey(key) for key in uses.get("mirror", [])]
    print(verify_log.report(logdir, vkeys, mirrors))
    print(verify_dsse.report(logdir, [verify_dsse.record_key(key) for key in uses["record"]]))


def named(origin: str, keys: list[str]) -> list[VKey]:
    """Verifier keys, each of this log."""
    vkeys = [parse_vkey(key) for key in keys]
    if any(vkey.name != origin for vkey in vkeys):
        raise Refused(f"{origin}: its log key has another name")
    return vkeys


if __name__ == "__main__":
    sys.exit(main())
