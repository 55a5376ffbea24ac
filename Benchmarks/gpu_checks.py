#!/usr/bin/env python3
"""Checks gpu.sh and its Python programs without a GPU: python3 Benchmarks/gpu_checks.py

The script runs against a program that records how it was called and fails, hangs or ends as it is told; the tables against
records that were made up, of which the verdicts are known.
"""
import io
import json
import math
import os
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest
from contextlib import redirect_stdout
from pathlib import Path

# Neither these nor what they start leave anything beside the programs.
sys.dont_write_bytecode = True
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"

import gpu_cubins
import gpu_curves
import gpu_fixtures
import gpu_timing
import gpu_verdicts

HERE = Path(__file__).resolve().parent
SOURCES = HERE.parent / "Sources"

# FAKE_FAIL, FAKE_HANG, FAKE_KILLED, FAKE_DEAF, FAKE_EXPLODE: patterns of the arguments; $FAKE/traps: how many calls of
# doctor end by a signal.
PROGRAM = r"""#!/bin/sh
echo "$*" >>"$FAKE/calls"
echo "$1 $XDG_CACHE_HOME" >>"$FAKE/caches"
if [ "$1" = doctor ]; then
  [ -z "${FAKE_NO_GPU-}" ] || { echo 'filigree: there is no CUDA device' >&2; exit 3; }
  traps=$(cat "$FAKE/traps" 2>/dev/null || echo 0)
  [ "$traps" = 0 ] || { echo $((traps - 1)) >"$FAKE/traps"; kill -ILL $$; }
fi
case "$*" in ${FAKE_FAIL-nothing}) exit 1 ;; esac
case "$*" in ${FAKE_HANG-nothing}) exec sleep 100 ;; esac
case "$*" in ${FAKE_KILLED-nothing}) kill -KILL $$ ;; esac
case "$*" in ${FAKE_DEAF-nothing}) trap 'date +%s >"$FAKE/heard"' TERM; while :; do sleep 1; done ;; esac
case "$*" in ${FAKE_EXPLODE-nothing})
  echo "filigree: the loss exploded; lower --learning-rate or the initializer range (last good checkpoint: none)" >&2
  exit 1 ;;
esac
command=$1
while [ $# -gt 0 ]; do
  [ "$1" != --out ] || out=$2
  shift
done
case $command in
bench) [ -z "${out-}" ] || echo "{}" >>"$out" ;;
train)
  mkdir -p "$out/checkpoints"
  echo weights >"$out/checkpoints/model.safetensors"
  cat >"$out/run.json" <<'END'
{"structure": "dense", "flopsPerStep": 1, "machine": {"peakFlopsPerSecond": 1}, "parameters": {"whole": 1},
 "configuration": {"architecture": {"layers": 4}, "batch": 4, "sequence": 128, "density": 1, "steps": 3}}
END
  for step in 1 2 3; do
    echo "{\"step\": $step, \"tokens\": $((512 * step)), \"loss\": 2.5, \"stepSeconds\": 0.5}"
  done >"$out/metrics.jsonl"
  echo done >"$out/DONE" ;;
esac
"""
# PyTorch is not needed: its program is recorded, the others run.
PYTHON = r"""#!/bin/sh
case $1 in
*gpu_peers.py) echo "$*" >>"$FAKE/peers" ;;
*) exec REAL "$@" ;;
esac
"""
SANITIZER = r"""#!/bin/sh
echo "$*" >>"$FAKE/sanitizer"
while [ "$1" != --error-exitcode ]; do shift; done
shift 2
case ${FAKE_SANITIZER-} in
unsupported) echo '========= Error: Device not supported'; exit 1 ;;
errors) exit 9 ;;
esac
"$@"
"""


class Script(unittest.TestCase):
    """gpu.sh in a copy of the tree with nothing but it, and without what this machine has of CUDA."""

    @classmethod
    def setUpClass(cls):
        cls.tools = Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, cls.tools)
        for folder in ("/usr/bin", "/bin"):
            for tool in Path(folder).iterdir():
                if tool.name != "compute-sanitizer" and not (cls.tools / tool.name).is_symlink():
                    (cls.tools / tool.name).symlink_to(tool)

    def setUp(self):
        self.root = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.root)
        self.fake = self.root / "fake"
        (self.root / "Benchmarks").mkdir()
        for file in HERE.glob("gpu*"):
            if file.is_file():
                shutil.copy(file, self.root / "Benchmarks")
        (self.root / "Tests").symlink_to(HERE.parent / "Tests")
        self.fake.mkdir()
        self.install("filigree", PROGRAM)
        self.install("python3", PYTHON.replace("REAL", sys.executable))
        self.install("nvidia-smi", "#!/bin/sh\necho 'NVIDIA H200'\n")
        self.out = self.root / "records"
        (self.root / ".build-gpu/cache/filigree").mkdir(parents=True)
        (self.root / ".build-gpu/cache/filigree/grid.cu-1.cubin").write_text("machine code")
        (self.root / ".build-gpu/cache/filigree/products-H200.txt").write_text("begun")

    def install(self, name, text):
        file = self.fake / name
        file.write_text(text)
        file.chmod(file.stat().st_mode | stat.S_IXUSR)

    def run_part(self, *arguments, **environment):
        # Nothing of Python's here: the script itself keeps its programs from leaving bytecode.
        environment = {"PATH": f"{self.fake}:{self.tools}", "FAKE": str(self.fake), "FILIGREE": str(self.fake / "filigree"),
                       "HOME": str(self.root), "TOOLKIT": str(self.root / "toolkit"), **environment}
        done = subprocess.run(["sh", str(self.root / "Benchmarks/gpu.sh"), *arguments], env=environment, text=True,
                              capture_output=True, timeout=120)
        self.said = done.stdout + done.stderr
        return done.returncode

    def lines(self, name="calls"):
        file = self.fake / name
        return file.read_text().splitlines() if file.exists() else []

    def calls(self, word):
        return [line for line in self.lines() if line.split()[0] == word]

    def test_usage(self):
        self.assertEqual(self.run_part(), 2)
        self.assertEqual(self.run_part("bench-65"), 2)
        self.assertIn("gpu.sh PART", self.said)
        self.assertEqual(self.run_part("doctor", LIMIT="soon"), 2)
        self.assertEqual(self.lines(), [])

    def test_no_gpu_is_status_3_at_once_and_leaves_nothing(self):
        self.assertEqual(self.run_part("laws", str(self.out), FAKE_NO_GPU="1"), 3)
        self.assertEqual(len(self.lines()), 1)
        self.assertFalse(self.out.exists())

    def test_a_trap_in_the_first_check_is_tried_once_more(self):
        (self.fake / "traps").write_text("1")
        self.assertEqual(self.run_part("doctor", str(self.out)), 0)
        self.assertIn("the first doctor ended", self.said)
        (self.fake / "traps").write_text("2")
        self.assertEqual(self.run_part("doctor", str(self.out)), 1)

    def test_one_precision_that_fails_does_not_stop_the_others(self):
        self.assertEqual(self.run_part("laws", str(self.out), FAKE_FAIL="*bench*tf32*"), 1)
        for precision in ("bf16", "fp32", "tf32"):
            calls = [c for c in self.calls("bench") if f"--precision {precision} " in c]
            self.assertEqual(len(calls), 5)
            self.assertTrue(any("4096x1024,1024x4096 --tokens 2000" in c for c in calls))
        with tarfile.open(self.out / "laws.tar.gz") as packed:
            self.assertIn("./laws-bf16.jsonl", packed.getnames())
        self.assertIn("about 500 s by estimate, at most 560 s", self.said)

    def test_the_text_that_is_there_is_trained_on(self):
        self.assertEqual(self.run_part("step-dense", str(self.out)), 0)
        self.assertNotIn("--data", self.calls("train")[-1])
        tokens = self.root / ".build-gpu/tokens"
        tokens.mkdir()
        for name in ("text_train_000001.bin", "text_val_000000.bin"):
            (tokens / name).write_text("")
        self.assertEqual(self.run_part("step-dense", str(self.out)), 0)
        self.assertIn("--data .build-gpu/tokens/text_train_000001.bin --validation .build-gpu/tokens/text_val_000000.bin",
                      self.calls("train")[-1])
        # Where only the archive is, the same.
        subprocess.run(["tar", "-czf", "tokens.tar.gz", "tokens"], cwd=tokens.parent, check=True)
        shutil.rmtree(tokens)
        self.assertEqual(self.run_part("step-dense", str(self.out)), 0)
        self.assertIn("--validation .build-gpu/tokens/text_val_000000.bin", self.calls("train")[-1])
        self.assertEqual(self.run_part("step-dense", str(self.out), DATA="a text", TOKENIZER="t.json"), 0)
        self.assertIn("--data a text --tokenizer t.json", self.calls("train")[-1])

    def test_a_part_that_is_out_of_time_says_what_it_did_not_run(self):
        self.assertEqual(self.run_part("bench-64", str(self.out), FAKE_HANG="*bench*0.05*", LIMIT="10"), 1)
        self.assertEqual(len(self.calls("bench")), 1)
        self.assertIn("bench-64: stopped after", self.said)
        self.assertIn("not run", self.said)
        self.assertTrue((self.out / "bench-64.tar.gz").exists())

    def test_a_command_that_is_killed_before_its_time_was_not_stopped(self):
        self.assertEqual(self.run_part("step-dense", str(self.out), FAKE_KILLED="*train*"), 1)
        self.assertRegex(self.said, r"step-dense: killed after \d s, not for its time: memory may have run out")
        self.assertNotIn("stopped after", self.said)

    def test_a_part_whose_records_cannot_be_packed_fails(self):
        (self.root / "archives").write_text("a file, not a folder")
        self.assertEqual(self.run_part("doctor", str(self.out), ARCHIVES=str(self.root / "archives")), 1)
        self.assertIn(f"doctor: its records could not be packed into {self.root}/archives/doctor.tar.gz", self.said)
        self.assertTrue((self.out / "doctor.log").exists())

    def test_a_survey_says_its_hours(self):
        self.assertEqual(self.run_part("survey", str(self.out), DATA="tokens", HOURS="3"), 0)
        self.assertEqual(len(self.calls("survey")), 1)
        self.assertIn("survey: at most 3 hours", self.said)
        self.assertNotIn("by estimate", self.said)

    def test_a_command_that_fails_does_not_stop_the_part(self):
        self.assertEqual(self.run_part("bench-128", str(self.out), FAKE_FAIL="*bench*0.05*"), 1)
        self.assertEqual(len(self.calls("bench")), 2)
        self.assertEqual(self.lines("peers")[0].split()[1:], [
            "products", f"{self.out}/peers-128.jsonl", "--peers", "dense,bsr-128", "--shapes", "4096x14336,14336x4096",
            "--densities", "0.1,0.05,0.5,0.25"])

    def test_bench_is_four_parts(self):
        self.assertEqual(self.run_part("bench", str(self.out)), 0)
        self.assertEqual(len(self.lines("peers")), 4)
        for name in ("64", "128", "24", "small"):
            self.assertTrue((self.out / f"bench-{name}.jsonl").exists())

    def test_steps_write_no_checkpoint_on_the_way_and_keep_none(self):
        self.assertEqual(self.run_part("step", str(self.out)), 0)
        self.assertEqual(len(self.calls("train")), 3)
        for call in self.calls("train"):
            self.assertIn("--checkpoint-every 1000 --evaluate-every 1000", call)
        self.assertEqual(list(self.out.glob("step-*/checkpoints")), [])
        self.assertEqual(len(self.lines("peers")), 1)
        self.assertIn("step-bsr-64: 500.0 ms a step", self.said)
        self.assertEqual((self.out / "gpus.txt").read_text(), "NVIDIA H200\n")

    def test_curves_are_held_to_their_bound(self):
        # Every run has the same losses, another seed too: a bound that lets it pass shows nothing.
        self.assertEqual(self.run_part("curves", str(self.out)), 1)
        self.assertEqual(len(self.calls("train")), 5)
        self.assertIn("another seed would pass too", self.said)

    def test_fixtures_fail_where_the_program_gives_no_losses(self):
        self.assertEqual(self.run_part("fixtures", str(self.out)), 1)
        for precision in ("bf16", "fp32", "tf32"):
            records = [json.loads(line) for line in (self.out / f"fixtures-{precision}.jsonl").read_text().splitlines()]
            self.assertEqual([r["met"] for r in records], [False] * 6)

    def test_sanitizer_that_is_not_there_or_not_for_this_gpu_was_not_run(self):
        self.assertEqual(self.run_part("sanitize", str(self.out)), 0)
        self.assertEqual((self.out / "sanitize.txt").read_text().count("not run: compute-sanitizer is not installed"), 5)
        home = self.root / "cuda/bin"
        home.mkdir(parents=True)
        self.install("compute-sanitizer", SANITIZER)
        (self.fake / "compute-sanitizer").rename(home / "compute-sanitizer")
        self.assertEqual(self.run_part("sanitize-memcheck", str(self.out), CUDA_HOME=str(home.parent), FAKE_SANITIZER="unsupported"), 0)
        self.assertIn("Device not supported", (self.out / "sanitize.txt").read_text())
        self.assertEqual(len(self.lines("sanitizer")), 1)
        # The toolkit's own folder is the last that is looked into.
        toolkit = self.root / "toolkit/bin"
        toolkit.parent.mkdir()
        home.rename(toolkit)
        self.assertEqual(self.run_part("sanitize-memcheck", str(self.out)), 0)
        self.assertEqual(len(self.lines("sanitizer")), 2)
        self.assertIn("memcheck: clean", (self.out / "sanitize.txt").read_text())

    def test_sanitizer_has_a_cache_of_its_own_without_marks(self):
        self.install("compute-sanitizer", SANITIZER)
        self.assertEqual(self.run_part("sanitize", str(self.out)), 0)
        self.assertEqual((self.out / "sanitize.txt").read_text().count(": clean"), 5)
        own = self.root / ".build-gpu/cache-sanitize-racecheck/filigree"
        self.assertEqual([f.name for f in own.iterdir()], ["grid.cu-1.cubin"])
        caches = {line for line in self.lines("caches") if not line.startswith("doctor")}
        self.assertEqual(len(caches), 5)
        self.assertTrue(all("/cache-sanitize-" in line for line in caches))
        self.assertIn(f"doctor {self.root}/.build-gpu/cache", self.lines("caches"))

    def test_sanitizer_that_finds_something_or_does_not_end_fails(self):
        self.install("compute-sanitizer", SANITIZER)
        self.assertEqual(self.run_part("sanitize-initcheck", str(self.out), FAKE_SANITIZER="errors"), 1)
        self.assertIn("initcheck: failed with status 9", (self.out / "sanitize.txt").read_text())
        self.assertEqual(self.run_part("sanitize-racecheck", str(self.out), FAKE_HANG="*bench*", LIMIT="10"), 1)
        self.assertIn("racecheck: did not end in its time", (self.out / "sanitize.txt").read_text())

    def test_experiment_needs_a_text_and_continues_run_by_run(self):
        self.assertEqual(self.run_part("experiment", str(self.out)), 1)
        self.assertEqual(self.calls("train"), [])
        options = dict(DATA="tokens", STRUCTURES="dense@1 bsr-64@0.1")
        self.assertEqual(self.run_part("experiment", str(self.out), FAKE_FAIL="*bsr-64*", **options), 1)
        self.assertEqual(len(self.calls("train")), 2)
        self.assertEqual(list(self.out.glob("experiment/*/checkpoints")), [])
        # Elsewhere, with the archive alone.
        again = self.root / "elsewhere"
        again.mkdir()
        shutil.copy(self.out / "experiment.tar.gz", again)
        self.assertEqual(self.run_part("experiment", str(again), **options), 0)
        self.assertEqual(len(self.calls("train")), 3)
        self.assertNotIn("--resume", self.calls("train")[-1])
        self.assertEqual(sorted(p.parent.name for p in again.glob("experiment/*/DONE")), ["bsr-64-0.1", "dense-1"])

    def test_experiment_resumes_a_run_whose_checkpoint_is_there(self):
        (self.out / "experiment/dense-1/checkpoints").mkdir(parents=True)
        self.assertEqual(self.run_part("experiment", str(self.out), DATA="tokens", STRUCTURES="dense@1"), 0)
        self.assertIn("--resume", self.calls("train")[-1])

    def test_a_run_that_diverged_is_left_out_with_a_sentence(self):
        # The sentence that the script looks for is the program's.
        self.assertIn("lower --learning-rate or the initializer range", (SOURCES / "Training/Trainer.swift").read_text())
        options = dict(DATA="tokens", STRUCTURES="dense@1 bsr-64@0.1", FAKE_EXPLODE="*bsr-64*")
        self.assertEqual(self.run_part("experiment", str(self.out), **options), 1)
        self.assertEqual(len(self.calls("train")), 2)
        self.assertIn("the loss exploded", (self.out / "experiment/bsr-64-0.1/DIVERGED").read_text())
        self.assertEqual(self.run_part("experiment", str(self.out), **options), 0)
        self.assertEqual(len(self.calls("train")), 2)
        self.assertIn("bsr-64@0.1 diverged in an earlier call and is left out: filigree: the loss exploded", self.said)
        # Elsewhere, with the archive alone, the same.
        again = self.root / "elsewhere"
        again.mkdir()
        shutil.copy(self.out / "experiment.tar.gz", again)
        self.assertEqual(self.run_part("experiment", str(again), **options), 0)
        self.assertEqual(len(self.calls("train")), 2)

    def test_a_run_has_until_the_end_of_the_part_for_its_checkpoint(self):
        # 61 s: 31 or, the first second over, 30 for the run, then 30 to write in.
        begun = time.time()
        options = dict(DATA="tokens", STRUCTURES="dense@1", LIMIT="61", FAKE_DEAF="*train*")
        self.assertEqual(self.run_part("experiment", str(self.out), **options), 1)
        ended, heard = time.time(), int((self.fake / "heard").read_text())
        self.assertGreaterEqual(ended - heard, 28)
        self.assertLess(ended - begun, 65)

    def test_a_run_that_is_cut_off_leaves_the_others_to_the_next_call(self):
        options = dict(DATA="tokens", STRUCTURES="dense@1 bsr-64@0.1", LIMIT="65", FAKE_HANG="*train*")
        # 65 s are 35 for the first run and too few for the second.
        self.assertEqual(self.run_part("experiment", str(self.out), **options), 1)
        self.assertEqual(len(self.calls("train")), 1)
        self.assertIn("bsr-64@0.1 waits for the next call", self.said)

    def test_archives_hold_records_and_no_weights(self):
        (self.out / "curve-cpu/checkpoints").mkdir(parents=True)
        (self.out / "curve-cpu/checkpoints/state.json").write_text("{}")
        (self.out / "curve-cpu/model.safetensors").write_text("weights")
        (self.out / "curve-cpu/DONE").write_text("")
        archives = self.root / "archives"
        self.assertEqual(self.run_part("doctor", str(self.out), ARCHIVES=str(archives)), 0)
        with tarfile.open(archives / "doctor.tar.gz") as packed:
            names = packed.getnames()
        self.assertIn("./curve-cpu/DONE", names)
        self.assertIn("./doctor.log", names)
        self.assertFalse(any("checkpoints" in name or name.endswith(".safetensors") for name in names))

    def test_the_program_is_unpacked_where_only_its_archive_is_there(self):
        packed = self.root / ".build-gpu/filigree"
        shutil.copy(self.fake / "filigree", packed)
        subprocess.run(["gzip", str(packed)], check=True)
        self.assertEqual(self.run_part("doctor", str(self.out), FILIGREE=".build-gpu/filigree"), 0)
        (self.fake / "filigree").unlink()
        self.assertEqual(self.run_part("doctor", str(self.out), FILIGREE="nowhere"), 1)

    def test_all_runs_every_part_whatever_fails(self):
        self.assertEqual(self.run_part("all", str(self.out), FAKE_FAIL="*"), 1)
        self.assertEqual(self.calls("train"), [])
        self.fake.joinpath("calls").unlink()
        self.assertEqual(self.run_part("all", str(self.out), FAKE_FAIL="*bench*", DATA="tokens"), 1)
        self.assertEqual(len(self.calls("bench")), 15 + 7)
        self.assertEqual(len(self.calls("train")), 5 + 3 + 6)
        self.assertTrue((self.out / "verdicts.md").exists())
        self.assertTrue((self.out / "all.tar.gz").exists())
        self.assertFalse((self.root / "Benchmarks/__pycache__").exists())


def bench(structure, shape, density, name, seconds, dense=1e-3, verified=True, time="2026-01-01", tokens=8192, spread=0.01):
    return dict(schema="filigree.bench/1", structure=structure, outputs=shape[0], inputs=shape[1], tokens=tokens, density=density,
                requestedDensity=density, dtype="bfloat16", seconds=seconds, spread=spread, flopsPerSecond=1e14, verified=verified,
                dense=dict(library="filigree dense", seconds=dense, spread=0.01), time=time, **{"pass": name})


def peer(name, shape, density, pass_name, seconds, **more):
    return dict(schema="filigree.peer/2", device="NVIDIA H200", peer=name, outputs=shape[0], inputs=shape[1], tokens=8192,
                density=density, seconds=seconds, spread=0.0, **{"pass": pass_name}, **more)


class Verdicts(unittest.TestCase):
    shape = (4096, 14336)

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)

    def write(self, name, records):
        with open(self.folder / name, "a", encoding="utf-8") as file:
            for record in records:
                file.write(json.dumps(record) + "\n")

    def rows(self):
        return gpu_verdicts.report(gpu_verdicts.Records(self.folder))[1]

    def row(self, beginning):
        found = [row for row in self.rows() if row.what.startswith(beginning)]
        self.assertEqual(len(found), 1, beginning)
        return found[0]

    def run_step(self, structure, density, seconds, flops=6e13, folder="step-{}", peak="bf16 wgmma"):
        run = self.folder / folder.format(structure)
        run.mkdir(parents=True)
        (run / "run.json").write_text(json.dumps(dict(
            structure=structure, flopsPerStep=flops, machine=dict(peakFlopsPerSecond=6e14, peakInstruction=peak),
            parameters=dict(whole=162e6), configuration=dict(batch=64, sequence=1024, density=density, steps=12))))
        # The first two are slow and do not count.
        (run / "metrics.jsonl").write_text("".join(
            json.dumps(dict(step=s, tokens=65536 * s, loss=10.0 - s, stepSeconds=seconds if s > 2 else 60)) + "\n" for s in range(1, 13))
            + json.dumps(dict(step=12, tokens=12 * 65536, validationLoss=4.5)) + "\n")

    def test_nothing_measured_is_said_of_everything(self):
        rows = self.rows()
        asked = [row for row in rows if row.asked is not None]
        # Two sides, two shapes, three products: two densities and the break-even; 2:4 and 2:4t at two shapes; three of a step.
        self.assertEqual(len(asked), 2 * 2 * 3 * 3 + 4 + 3)
        self.assertEqual({row.verdict for row in asked}, {"not measured"})

    def test_ratio_is_to_the_faster_cublas(self):
        self.write("bench-64.jsonl", [bench("bsr-64", self.shape, 0.1, "forward", 1e-4, dense=6e-4)])
        row = self.row("bsr-64, density 0.1, 4096x14336, forward")
        self.assertAlmostEqual(row.measured, 6.0)
        self.assertAlmostEqual(row.spread, 6 * math.hypot(0.01, 0.01))
        self.assertEqual(row.verdict, "met")
        self.write("peers-64.jsonl", [peer("torch dense", self.shape, 1.0, "forward", 4e-4),
                                      peer("torch bsr-64", self.shape, 0.1015625, "forward", 3e-4, requestedDensity=0.1)])
        row = self.row("bsr-64, density 0.1, 4096x14336, forward")
        self.assertAlmostEqual(row.measured, 4.0)
        self.assertEqual(row.verdict, "not met")
        self.assertIn("3.0 x PyTorch's", row.note)

    def test_within_the_spread_is_said(self):
        self.write("bench-64.jsonl", [bench("bsr-64", self.shape, 0.1, "forward", 1.99e-4),
                                      bench("bsr-64", self.shape, 0.05, "forward", 1.26e-4)])
        self.assertEqual(self.row("bsr-64, density 0.1, 4096x14336, forward").verdict, "met, within the spread")
        self.assertEqual(self.row("bsr-64, density 0.05, 4096x14336, forward").verdict, "not met, within the spread")

    def test_wrong_products_count_for_nothing(self):
        self.write("bench-64.jsonl", [bench("bsr-64", self.shape, 0.1, "forward", 1e-5, verified=False)])
        self.assertEqual(self.row("bsr-64, density 0.1, 4096x14336, forward").verdict, "WRONG")
        with redirect_stdout(io.StringIO()):
            self.assertEqual(gpu_verdicts.main(self.folder), 1)

    def test_newest_record_counts_and_other_precisions_do_not(self):
        self.write("bench-64.jsonl", [bench("bsr-64", self.shape, 0.1, "forward", 1e-4, time="2026-01-02"),
                                      bench("bsr-64", self.shape, 0.1, "forward", 5e-4, time="2026-01-01"),
                                      dict(bench("bsr-64", self.shape, 0.1, "forward", 9e-4, time="2026-01-03"), dtype="float32")])
        self.write("laws-bf16.jsonl", [bench("bsr-64", self.shape, 0.1, "forward", 7e-4, time="2026-01-04")])
        self.assertAlmostEqual(self.row("bsr-64, density 0.1, 4096x14336, forward").measured, 10.0)

    def test_break_even(self):
        def write(times):
            self.write("bench-64.jsonl", [bench("bsr-64", self.shape, d, "forward", t) for d, t in times.items()])
            return self.row("bsr-64, 4096x14336, forward: density of break-even")
        row = write({0.5: 1.5e-3, 0.25: 0.5e-3, 0.1: 0.2e-3, 0.05: 0.1e-3})
        # Half way between 0.25 and 0.5 in time.
        self.assertAlmostEqual(row.measured, 0.375)
        self.assertEqual(row.verdict, "not met")
        self.assertEqual(write({0.5: 0.9e-3}).verdict, "met")
        row = write({0.5: 4e-3, 0.25: 3e-3, 0.1: 2e-3, 0.05: 1.1e-3})
        self.assertEqual((row.measured, row.note), (0.0, "not even at 0.05"))

    def test_half_of_the_densities_is_no_break_even(self):
        self.write("bench-64.jsonl", [bench("bsr-64", self.shape, 0.1, "forward", 1e-4)])
        self.assertEqual(self.row("bsr-64, 4096x14336, forward: density of break-even").verdict, "not measured")

    def test_only_the_forward_pass_is_asked_of_2_4(self):
        self.write("bench-24.jsonl", [bench("nm-2:4", self.shape, 0.5, "forward", 5e-4),
                                      bench("nm-2:4", self.shape, 0.5, "inputGradient", 5e-4)])
        self.assertEqual(self.row("nm-2:4, density 0.5, 4096x14336, forward").verdict, "met")
        self.assertEqual(self.row("nm-2:4, density 0.5, 4096x14336, inputGradient").verdict, "")

    def test_small_shapes_are_listed(self):
        self.write("bench-small.jsonl", [bench("csr", (3072, 768), 0.1, "forward", 2e-3)])
        row = self.row("csr, density 0.1, 3072x768, forward")
        self.assertEqual((row.measured, row.asked), (0.5, None))

    def test_steps_beside_torch_compile_and_our_dense(self):
        self.run_step("dense", 1, 0.2)
        self.run_step("bsr-64", 0.1, 0.16)
        self.run_step("bsr-32", 0.1, 0.1)
        compiled = dict(schema="filigree.peer/2", device="NVIDIA H200", peer="torch.compile", tokens=65536, seconds=0.25, spread=0.0,
                        sequencesAtOnce=32, **{"pass": "step"})
        self.write("peers-step.jsonl", [compiled, dict(compiled, seconds=0.18, sequencesAtOnce=16), dict(compiled, sequencesAtOnce=8)])
        # The faster of what torch.compile was tried with.
        self.assertAlmostEqual(self.row("dense: time of torch.compile").measured, 0.9)
        self.assertEqual(self.row("dense: time of torch.compile").verdict, "not met")
        self.assertEqual(self.row("bsr-64 at density 0.1: time").verdict, "not met")
        self.assertAlmostEqual(self.row("bsr-32 at density 0.1: time").measured, 2.0)
        text = gpu_verdicts.report(gpu_verdicts.Records(self.folder))[0]
        # 6e13 in 0.2 s are 300 TFLOP/s, of 989.4 and of 600.
        self.assertIn("| dense | 200.0 | 60.0 | 300 | 30.3 % | 50.0 % |", text)
        self.assertIn("| torch.compile | 180.0 | 60.0 | 333 | 33.7 % |  |", text)

    def test_the_peak_is_named_by_what_measured_it(self):
        def said():
            return "\n".join(gpu_verdicts.utilisation(gpu_verdicts.Records(self.folder)))
        self.run_step("dense", 1, 0.2)
        self.assertIn("| of the peak measured (bf16 wgmma) |", said())
        self.assertIn("| 50.0 % |", said())
        self.run_step("bsr-64", 0.1, 0.2, peak="bf16 mma.sync")
        self.run_step("bsr-32", 0.1, 0.2, peak=None)
        self.assertIn("| of the peak measured |", said())
        for name in ("bf16 wgmma", "bf16 mma.sync", "not recorded"):
            self.assertEqual(said().count(f"| 50.0 % ({name}) |"), 1, name)

    def test_steps_of_other_lengths_are_not_compared(self):
        self.run_step("dense", 1, 0.2)
        self.run_step("bsr-64", 0.5, 0.1)
        self.assertEqual(self.row("bsr-64 at density 0.1: time").verdict, "not measured")

    def test_experiment_has_a_table_and_curves(self):
        self.run_step("dense", 1, 0.2, folder="experiment/{}-1")
        with redirect_stdout(io.StringIO()) as said:
            self.assertEqual(gpu_verdicts.main(self.folder), 0)
        self.assertIn("| dense 1 | 12 of 12, not finished | 0.79 | 162.0 | 2.5000 | 4.5000 | 200 |", said.getvalue())
        self.assertEqual((self.folder / "experiment.tsv").read_text().splitlines()[1], "1\t9.0")
        self.assertEqual((self.folder / "verdicts.md").read_text(), said.getvalue())
        (self.folder / "experiment/dense-1/DIVERGED").write_text("the loss exploded")
        self.assertIn("| 12 of 12, diverged |", gpu_verdicts.report(gpu_verdicts.Records(self.folder))[0])

    def test_records_of_two_gpus_are_refused(self):
        (self.folder / "gpus.txt").write_text("NVIDIA H200\nNVIDIA H100 80GB HBM3\n")
        with redirect_stdout(io.StringIO()):
            self.assertEqual(gpu_verdicts.main(self.folder), 1)

    def test_a_line_that_was_cut_short_is_passed_over_at_the_end_only(self):
        self.write("bench-64.jsonl", [bench("bsr-64", self.shape, 0.1, "forward", 1e-4)])
        with open(self.folder / "bench-64.jsonl", "a", encoding="utf-8") as file:
            file.write('{"schema": "fili')
        self.assertEqual(self.row("bsr-64, density 0.1, 4096x14336, forward").verdict, "met")
        with open(self.folder / "bench-64.jsonl", "a", encoding="utf-8") as file:
            file.write("\n{}\n")
        with self.assertRaises(ValueError):
            self.rows()


class Curves(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)

    def make(self, name, factors):
        run = self.folder / name
        run.mkdir()
        (run / "run.json").write_text('{"configuration": {"architecture": {"layers": 4}}}')
        (run / "metrics.jsonl").write_text("".join(json.dumps(dict(step=i, loss=2 * f)) + "\n" for i, f in enumerate(factors)))
        return str(run)

    def compare(self, bf16, seed=(1, 1.03)):
        cpu, other = self.make("cpu", (1, 1)), self.make("other", (1, 1 + 2e-8))
        with redirect_stdout(io.StringIO()):
            return gpu_curves.main([cpu, other, self.make("seed", seed), self.make("cuda-bf16", bf16)])

    def test_within_four_times_what_rounding_does(self):
        self.assertEqual(self.compare((1, 1 + 3.9 * 65536 * 2e-8)), 0)

    def test_beyond_it(self):
        self.assertEqual(self.compare((1, 1 + 4.1 * 65536 * 2e-8)), 1)

    def test_nan_is_beyond(self):
        self.assertEqual(self.compare((1, math.nan)), 1)

    def test_a_run_that_stopped_early_is_beyond(self):
        self.assertEqual(self.compare((1,)), 1)

    def test_a_bound_that_another_seed_would_meet_shows_nothing(self):
        self.assertEqual(self.compare((1, 1), seed=(1, 1.001)), 2)

    def test_fp32_has_at_least_one_forward_pass(self):
        self.assertAlmostEqual(gpu_curves.bound("fp32", 4, 0), math.sqrt(204) * 2.0**-23)


class Fixtures(unittest.TestCase):
    def compare(self, precision, got):
        with tempfile.TemporaryFile("w") as file, redirect_stdout(io.StringIO()):
            comparison = gpu_fixtures.Comparison("program", "cuda", precision, file)
            comparison.compare("case", 2, [2.0, 4.0], lambda: got)
            return comparison.failures

    def test_bounds(self):
        self.assertEqual(self.compare("fp32", [2.00009, 4.0]), 0)
        self.assertEqual(self.compare("fp32", [2.0, 4.00011]), 1)
        # sqrt(108) 2 2^-8 of 4.
        self.assertEqual(self.compare("bf16", [2.32, 4.0]), 0)
        self.assertEqual(self.compare("bf16", [2.33, 4.0]), 1)

    def test_nan_and_missing_losses_fail(self):
        self.assertEqual(self.compare("bf16", [math.nan, 4.0]), 1)
        self.assertEqual(self.compare("bf16", [2.0, math.nan]), 1)
        self.assertEqual(self.compare("bf16", [2.0]), 1)

    def test_written_files_are_read_again(self):
        with tempfile.TemporaryDirectory() as folder:
            tests = gpu_fixtures.TESTS / "ModelTests/Fixtures"
            tensors = gpu_fixtures.Tensors(tests / "mistral-gqa.safetensors")
            gpu_fixtures.write_directory(Path(folder), tensors, tests / "mistral-gqa.config.json")
            again = gpu_fixtures.Tensors(Path(folder) / "model.safetensors")
            self.assertEqual(set(again.header), {n.removeprefix("weights/") for n in tensors.header if n.startswith("weights/")})
            for name in again.header:
                self.assertEqual(again.numbers(name), tensors.numbers(f"weights/{name}"))


class Cubins(unittest.TestCase):
    def test_fnv(self):
        # The published vectors of 64-bit FNV-1a.
        self.assertEqual(gpu_cubins.fnv(b""), 0xCBF29CE484222325)
        self.assertEqual(gpu_cubins.fnv(b"a"), 0xAF63DC4C8601EC8C)
        self.assertEqual(gpu_cubins.fnv(b"foobar"), 0x85944171F73967E8)

    def test_every_source_is_met(self):
        names = {name for name, _ in gpu_cubins.sources()}
        self.assertEqual({n for n in names if n.endswith(".cu")}, {f.name for f in (gpu_cubins.SOURCES / "kernels").glob("*.cu")})


class Timing(unittest.TestCase):
    def samples(self, *bodies):
        """Samples of bodies by name and seconds, by a clock that only they move, and the order of the calls."""
        now, order = [0.0], []

        def body(name, seconds):
            def run():
                order.append(name)
                now[0] += seconds
            return run
        return gpu_timing.interleave([body(*one) for one in bodies], 0, clock=lambda: now[0]), "".join(order)

    def test_constants_are_the_program_s(self):
        text = (SOURCES / "Measuring/Sampler.swift").read_text()

        def constant(pattern):
            found = re.findall(pattern + r"([0-9][0-9_.e-]*)", text)
            self.assertEqual(len(found), 1, pattern)
            return float(found[0].replace("_", ""))
        self.assertEqual(gpu_timing.SHORTEST_SAMPLE, constant("static let shortestSample = "))
        self.assertEqual(gpu_timing.WARMED_BELOW, constant("static let warmedBelow = "))
        self.assertEqual(gpu_timing.WARMING_CALLS, constant("static let warmingCalls = "))
        self.assertEqual(gpu_timing.ROUNDS, constant("minimumRepeats: Int = "))

    def test_pytorch_is_timed_so(self):
        text = (HERE / "gpu_peers.py").read_text()
        self.assertIn("from gpu_timing import interleave\n", text)
        self.assertNotIn("def interleave", text)

    def test_candidates_take_turns_as_in_the_program(self):
        samples, order = self.samples(("a", 0.01), ("b", 0.02))
        self.assertEqual([[round(s, 9) for s in one] for one in samples], [[0.01] * 7, [0.02] * 7])
        # Each once to warm and once to count its calls, then in turn; neither is short enough to be called more often.
        self.assertEqual(order, "aabb" + "abba" * 3 + "ab")

    def test_short_samples_are_preceded_by_two_calls(self):
        samples, order = self.samples(("a", 0.004), ("b", 0.02))
        self.assertEqual([[round(s, 9) for s in one] for one in samples], [[0.004] * 7, [0.02] * 7])
        self.assertEqual(order, "aabb" + "aaabbaaa" * 3 + "aaab")

    def test_the_shortest_are_called_several_times_a_sample(self):
        # A power of two, so that sums are exact: 55e-6 / 2^-20 = 57.7.
        samples, order = self.samples(("a", 2.0**-20))
        self.assertEqual(samples, [[2.0**-20] * 7])
        # One to warm, then 1, 10 and 57 calls to count them, by a tenth more than proportional.
        self.assertEqual(len(order), 1 + 1 + 10 + 57 + 7 * (2 + 57))


if __name__ == "__main__":
    unittest.main()
