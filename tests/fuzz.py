"""Give each reader thousands of damaged files, and require that it refuses them cleanly.

Called by ``nox -s fuzz``, by hand with the names of readers. Ends with status 1 where a reader raises anything but a
refusal, or takes over five seconds of the CPU for a file, or the process uses over a gibibyte of memory.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import import_module
from itertools import chain
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hostile import Reader

MODULES: Final = ("readers", "data_readers", "torch_readers")
"""Those without torch, with it, and with torchvision too, in a process each: their imports take most of the memory."""

MOST_BOMBS: Final = 100
"""Of a reader; files made to fill the memory are numbered from here to zero."""

MOST_BYTES: Final = 1024**3

MOST_SECONDS: Final = 5.0
"""Of the CPU, for one file."""


def used_mebibytes(field: str) -> int:
    """Return what this process uses (``VmRSS``) or has used at most (``VmHWM``)."""
    return int(Path("/proc/self/status").read_text(encoding="ascii").partition(f"{field}:")[2].split()[0]) // 1024


def damage(name: str, reader: "Reader", inputs: int, seed: int) -> Iterator[tuple[int, bytes]]:
    """Yield damaged files, each with its number, from which alone and the seed it is made."""
    for place in range(inputs):
        random = Random(f"{name} {seed} {place}")
        yield place, reader.spoil(random, random.choice(reader.whole))


def try_reader(name: str, reader: "Reader", inputs: int, seed: int) -> int:
    """Give a reader its files, print what came of it, and return how many there were."""
    tried, refused, slowest = 0, 0, 0.0
    with tempfile.TemporaryDirectory() as work:
        for place, content in chain(enumerate(reader.bombs(), start=-MOST_BOMBS), damage(name, reader, inputs, seed)):
            began = time.process_time()
            try:
                is_refused = bool(reader.refusal(Path(work), content))
            except BaseException:
                print(f"{name}, seed {seed}, file {place}: {content[:200]!r}", flush=True)
                raise
            seconds = time.process_time() - began
            if seconds > MOST_SECONDS or (place < 0 and not is_refused):
                raise AssertionError(f"{name}, seed {seed}, file {place}: refused: {is_refused}, {seconds:.1f} s")
            refused, slowest = refused + is_refused, max(slowest, seconds)
            tried += 1
    print(f"{name:16} {tried:7,} {refused:9,} {slowest:10.2f} {used_mebibytes('VmHWM'):10,}", flush=True)
    return tried


def main() -> None:
    """Try the readers of all modules, or of one in this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="readers (default: all)")
    parser.add_argument("--inputs", type=int, help="damaged files of each reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--module", choices=MODULES, help="the readers that this process tries")
    options = parser.parse_args()
    if options.module is None:
        commands = [(sys.executable, *sys.argv, f"--module={module}") for module in MODULES]
        raise SystemExit(max(subprocess.run(command, check=False).returncode for command in commands))
    readers = import_module(options.module).READERS
    loaded = used_mebibytes("VmRSS")
    print(f"{options.module:16} {'files':>7} {'refused':>9} {'slowest, s':>10} {'peak, MiB':>10}", flush=True)
    tried = sum(
        try_reader(name, reader, reader.inputs if options.inputs is None else options.inputs, options.seed)
        for name, reader in readers.items()
        if name in (options.names or readers)
    )
    peak = used_mebibytes("VmHWM")
    print(f"{tried:,} files; {peak:,} MiB of memory at most, of which {loaded:,} after the imports", flush=True)
    if peak * 2**20 >= MOST_BYTES:
        raise SystemExit(f"over {MOST_BYTES / 2**20:,.0f} MiB")


if __name__ == "__main__":
    main()
