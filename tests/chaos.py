"""Kill a smoke run at random moments, start it again each time, and hold what comes out against an undisturbed run.

Called by ``nox -s chaos``; writes its figures to reports/chaos.json and ends with status 1 where anything differs.
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fashionbench.records.files import UNFINISHED_SUFFIX, write_atomically
from fashionbench.records.reading import find_finished
from fashionbench.records.record import TrainingRecord

RUN = """
import fashionbench.running.engine

fashionbench.running.engine.SECONDS_BETWEEN_CHECKPOINTS = 0.25  # a smoke case is too short for the usual minute

if __name__ == "__main__":
    from fashionbench.cli import main

    main()
"""
REPORT = Path("reports/chaos.json")


def start(script: Path, out: Path) -> subprocess.Popen[bytes]:
    """Start a smoke run."""
    command = [sys.executable, str(script), "run", "--recipe", "smoke", "--devices", "cpu", "--out", str(out)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def outcome(record: TrainingRecord) -> tuple[object, ...]:
    """Return what a training must come to, bit by bit."""
    if record.result is None:
        raise AssertionError(f"{record.model} has no result")
    return (
        record.result.step_losses,
        record.result.validation_losses,
        record.result.validation_accuracies,
        record.result.test_predictions,
        record.result.test_confidences,
    )


def rest(folder: Path) -> list[str]:
    """Return what a finished run must not leave behind."""
    found = [*folder.rglob(f"*{UNFINISHED_SUFFIX}"), *folder.rglob(".lock"), *folder.glob("checkpoints")]
    return [str(path.relative_to(folder)) for path in found]


def finish(script: Path, out: Path) -> float:
    """Let a run come to its end and return its seconds."""
    began = time.monotonic()
    status = start(script, out).wait()
    if status != 0:
        raise SystemExit(f"the run ended with status {status}")
    return time.monotonic() - began


def main() -> None:
    """Run, kill, compare, report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    moments = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as work:
        script = Path(work, "chaos_run.py")
        script.write_text(RUN, encoding="utf-8")
        whole = Path(work, "whole")
        finish(script, whole)  # fetches the data where they are not in the cache
        shutil.rmtree(whole)
        seconds = finish(script, whole)
        expected = {identity: outcome(record) for identity, record in find_finished(whole / "records", print).items()}
        kills = rounds = lost = different = resumed = 0
        left_behind: list[str] = []
        while kills < options.kills:
            rounds += 1
            broken = Path(work, f"round{rounds}")
            finished: set[str] = set()
            while kills < options.kills:
                process = start(script, broken)
                try:
                    process.wait(moments.uniform(0, seconds))
                    break
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                    kills += 1
                now = set(find_finished(broken / "records", print))
                lost += len(finished - now)
                finished |= now
                print(f"kill {kills}/{options.kills}, round {rounds}: {len(finished)} cases finished", flush=True)
            finish(script, broken)
            records = find_finished(broken / "records", print)
            different += sum(outcome(records[identity]) != value for identity, value in expected.items())
            resumed += sum(record.result.resumed for record in records.values() if record.result)
            left_behind += rest(broken)
    figures = {
        "kills": kills,
        "rounds": rounds,
        "seconds_of_an_undisturbed_run": round(seconds, 1),
        "cases_a_round": len(expected),
        "finished_cases_lost": lost,
        "cases_that_differ": different,
        "times_resumed_from_a_checkpoint": resumed,
        "left_behind": left_behind,
    }
    write_atomically(REPORT, json.dumps(figures, indent=2).encode() + b"\n")
    print(json.dumps(figures, indent=2))
    if lost or different or left_behind or len(expected) != 2:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
