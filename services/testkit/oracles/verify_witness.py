"""Runs aics-witness as a third witness of our logs, which nobody of this project wrote.

    python verify_witness.py CLIENT

CLIENT is the program of `services/log/examples/witnessed.rs`, which submits honest and forged checkpoints over HTTP.
The witness is started, restarted on the same state, and asked which forgeries it kept as evidence.
Exit status: 0 all holds, 1 something does not.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START = 30


def main() -> int:
    client = sys.argv[1]
    with tempfile.TemporaryDirectory() as scratch:
        config = str(Path(scratch) / "witness.json")
        vkey = witness("init", config, "--name", "witness.example/w1", "--listen", "127.0.0.1:0").strip()
        for line in output(client, "keys").splitlines():
            origin, key = line.split()
            witness("add-log", config, "--origin", origin, "--vkey", key)
        for phase in ("first", "again"):
            with serving(config) as address:
                print(output(client, address, vkey, phase), end="")
        reasons = {item["reason"] for item in json.loads(witness("evidence", config))}
        if not any("root" in reason for reason in reasons):
            print(f"control failed: no evidence of a split view among {sorted(reasons)}", file=sys.stderr)
            return 1
        print(f"ok witness evidence: {'; '.join(sorted(reasons))}")
    return 0


def witness(command: str, config: str, *words: str) -> str:
    return output(sys.executable, "-m", "aics_witness", command, "--config", config, *words)


def output(*words: str) -> str:
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(1)
    return done.stdout


@contextmanager
def serving(config: str) -> Iterator[str]:
    """The witness on a free port; its address."""
    words = [sys.executable, "-m", "aics_witness", "serve", "--config", config]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    watchdog = threading.Timer(START, process.kill)
    watchdog.start()
    try:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if found := re.search(r"listening on http://(\S+:\d+)", line):
                break
        else:
            raise RuntimeError("the witness did not start:\n" + "".join(lines))
        watchdog.cancel()
        # What it logs from here on must be read, or it would block.
        threading.Thread(target=lambda: process.stderr.read(), daemon=True).start()
        yield found[1]
    finally:
        watchdog.cancel()
        process.terminate()
        process.wait(START)


if __name__ == "__main__":
    sys.exit(main())
