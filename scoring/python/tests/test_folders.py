"""score, check and package, on folders written by Pillow."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

import flair_scoring as fs
import numpy as np
import pytest
from conftest import Folders, maps, upstream


def test_a_score_is_that_of_its_arrays(folders: Folders) -> None:
    seen: list[tuple[str, int, int]] = []
    report = fs.score(folders.truth, str(folders.predictions), progress=lambda *event: seen.append(event))
    matrix = sum(upstream(*pair) for pair in folders.maps.values())
    assert np.array_equal(report.confusion, matrix)
    scores = fs.metrics(report.confusion)
    assert (report.miou, report.kappa, report.classes) == (scores.miou, scores.kappa, scores.classes)
    assert (report.patches, report.pixels, report.dropped_pixels) == (3, 3 * 512 * 512, 0)
    assert seen[-1] == ("scoring", 3, 3)
    with pytest.raises(ValueError):
        report.confusion[0, 0] = 1


def test_a_report_is_its_json(folders: Folders) -> None:
    report = fs.score(folders.truth, folders.predictions)
    record = json.loads(report.to_json())
    assert record == report.to_dict()
    assert record["miou"] == report.miou and record["schema"].startswith("flair-bench/score/")
    again = pickle.loads(pickle.dumps(report))
    assert again == report and hash(again) == hash(report)
    assert report == fs.score(folders.truth, folders.predictions, threads=1)
    assert report != fs.score(folders.truth, folders.predictions, protocol="flair-hub")


def test_what_cannot_be_scored_is_told_at_once(folders: Folders) -> None:
    (folders.predictions / "PRED_077413.tif").unlink()
    folders.write(77414, maps(0, (8, 8))[1])
    folders.write(77415, np.full((512, 512), 255, np.uint8))
    with pytest.raises(fs.NotScorableError, match="3 problems") as caught:
        fs.score(folders.truth, folders.predictions)
    found = [(finding.code, finding.subject) for finding in caught.value.findings]
    assert found == [
        ("missing-prediction", "077413"),
        ("wrong-size", "PRED_077414.tif"),
        ("value-out-of-range", "PRED_077415.tif"),
    ]
    assert "error [missing-prediction] 077413: " in str(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).findings == caught.value.findings


def test_strays_are_dropped_by_word(folders: Folders) -> None:
    prediction = folders.maps[77413][1].copy()
    prediction[:5] = 255
    folders.write(77413, prediction)
    report = fs.score(folders.truth, folders.predictions, out_of_range="drop")
    assert (report.dropped_pixels, report.out_of_range, len(report.notes)) == (5 * 512, "drop", 1)


def test_paths_that_cannot_be_read_are_os_errors(folders: Folders) -> None:
    none = folders.root / "none"
    for call in (
        lambda: fs.score(none, folders.predictions),
        lambda: fs.score(folders.truth, none),
        lambda: fs.check(none),
        lambda: fs.package(none, folders.root, "x"),
        lambda: fs.check(folders.predictions, expected=none),
    ):
        with pytest.raises(OSError) as caught:
            call()
        assert isinstance(caught.value, fs.FileAccessError)
        assert (caught.value.errno, caught.value.filename) == (errno.ENOENT, str(none))
        assert caught.value.strerror == os.strerror(errno.ENOENT)
    text = folders.root / "text.zip"
    text.write_text("no archive")
    with pytest.raises(fs.InputError, match="not a readable zip archive"):
        fs.score(folders.truth, text)
    # A checker's answer is data.
    assert [finding.code for finding in fs.check(text).findings] == ["unreadable-archive"]


def test_a_check_tells_what_is_wrong(folders: Folders) -> None:
    good = fs.check(folders.predictions, expected=folders.ids)
    assert good and good.valid and good.counts.predictions == good.counts.expected == 3
    assert json.loads(good.to_json())["valid"] is True
    (folders.predictions / "notes.txt").write_text("")
    bad = fs.check(folders.predictions, expected=["077413", "077499"])
    assert not bad
    assert (bad.missing, bad.extra, bad.counts.files) == (("077499",), ("077414-077415",), 4)
    codes = [(finding.severity, finding.code) for finding in bad.findings]
    assert codes == [
        ("error", "missing-prediction"),
        ("error", "extra-prediction"),
        ("warning", "unexpected-file"),
        ("note", "last-batch-missing"),
    ]
    assert bad.counts.errors + bad.counts.warnings + bad.counts.notes == len(bad.findings)
    ids = folders.root / "ids.txt"
    ids.write_text("077413-077415\n")
    assert fs.check(folders.predictions, expected=ids).counts.expected == 3
    for wrong in ("x", "77413", -1, 1_000_000):
        with pytest.raises(fs.InputError, match="is not a patch"):
            fs.check(folders.predictions, expected=[wrong])


def test_a_protocol_tells_which_values_there_are(folders: Folders) -> None:
    folders.write(77413, np.full((512, 512), 18, np.uint8))
    assert not fs.check(folders.predictions)
    wide = fs.Protocol("flair-hub", nomenclature="flair-19")
    assert fs.check(folders.predictions, protocol=wide).valid
    with pytest.raises(fs.RefusedError):
        fs.package(folders.predictions, folders.root / "out", "mine")
    assert fs.package(folders.predictions, folders.root / "out", "mine", protocol=wide).entries == 3
    with pytest.raises(fs.InputError, match="flair3"):
        fs.check(folders.predictions, protocol="flair3")


def test_a_package_is_checked_named_and_always_the_same(folders: Folders) -> None:
    out = folders.root / "out"
    packed = fs.package(folders.predictions, out, "mine", expected=folders.ids, times=(357.9, "14-40"))
    assert packed.path == out / "mine_5-58_14-40.zip"
    assert (packed.entries, packed.bytes, packed.report.valid) == (3, packed.path.stat().st_size, True)
    again = fs.package(folders.predictions, folders.root / "again", "mine")
    assert packed.path.read_bytes() == again.path.read_bytes()
    assert fs.score(folders.truth, packed.path) == fs.score(folders.truth, folders.predictions)


def test_a_package_is_refused_with_the_findings(folders: Folders) -> None:
    with pytest.raises(fs.RefusedError) as caught:
        fs.package(folders.predictions, folders.root / "out", "mine", expected=[1])
    assert caught.value.report.missing == ("000001",)
    assert pickle.loads(pickle.dumps(caught.value)).report == caught.value.report
    assert not (folders.root / "out").exists()
    for name in ("", "a/b", "-x"):
        with pytest.raises(fs.InputError, match="cannot name an archive"):
            fs.package(folders.predictions, folders.root, name)
    for time in ("5:57", 0, float("nan"), -3, 86_401):
        with pytest.raises(fs.InputError, match=r"not a time|at most a day"):
            fs.package(folders.predictions, folders.root, "x", times=(time, 60))


def test_classes_counted_from_1_are_told_and_packed_only_on_demand(folders: Folders) -> None:
    for number, (mask, _) in folders.maps.items():
        # A network that never predicts "other": no value is out of range.
        folders.write(number, np.where(mask > 12, 1, mask).astype(np.uint8))
    found = [finding.code for finding in fs.score(folders.truth, folders.predictions).findings]
    assert found == ["one-based"]
    truth, prediction = np.arange(1, 13, dtype=np.uint8).repeat(9), np.arange(1, 13, dtype=np.uint8).repeat(9)
    (finding,) = fs.metrics(fs.confusion_matrix(truth, prediction)).findings
    assert finding.code == "one-based" and "the mIoU would be 1.0000 instead of 0.0000" in finding.message
    assert fs.metrics(fs.confusion_matrix(truth, prediction - 1)).findings == ()
    out = folders.root / "out"
    with pytest.raises(fs.RefusedError, match="look like a mistake"):
        fs.package(folders.predictions, out, "mine", expected=folders.ids)
    assert fs.package(folders.predictions, out, "mine", expected=folders.ids, as_is=True).entries == 3


@pytest.fixture
def many(folders: Folders) -> Folders:
    """More than can be scored at a glance: links to the same maps."""
    mask, prediction = next(folders.truth.rglob("*413.tif")), folders.predictions / "PRED_077413.tif"
    for number in range(200_000, 204_000):
        (mask.parent / f"MSK_{number:06}.tif").symlink_to(mask)
        (folders.predictions / f"PRED_{number:06}.tif").symlink_to(prediction)
    return folders


class Enough(Exception):
    pass


def test_a_signal_stops_the_work(many: Folders) -> None:
    def enough(_: int, __: FrameType | None) -> NoReturn:
        raise Enough

    before = signal.signal(signal.SIGALRM, enough)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        with pytest.raises(Enough):
            fs.score(many.truth, many.predictions)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_listener_that_raises_stops_the_work(many: Folders) -> None:
    calls: list[int] = []

    def listen(stage: str, done: int, total: int) -> None:
        calls.append(done)
        if stage == "packing":
            raise Enough

    with pytest.raises(Enough):
        fs.package(many.predictions, many.root / "out", "mine", progress=listen)
    # Neither an archive nor a part of one is left.
    assert list((many.root / "out").glob("*")) == []
    assert calls[-1] < len(list(many.predictions.iterdir()))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="there is no fork here")
def test_a_fork_finds_no_dead_threads(tmp_path: Path) -> None:
    # In a process of its own: pytest's may have threads that a fork warns of.
    script = tmp_path / "fork.py"
    script.write_text(
        "import multiprocessing, sys, numpy as np, flair_scoring as fs\n"
        "big = np.ones(1 << 22, np.uint8)\n"
        "count = lambda _: int(fs.confusion_matrix(big, big).sum())\n"
        "assert count(0) == big.size\n"
        "def work(_): return count(0)\n"
        "with multiprocessing.get_context('fork').Pool(2) as pool:\n"
        "    assert pool.map(work, range(4)) == [big.size] * 4\n"
    )
    subprocess.run([sys.executable, script], check=True, timeout=60)


def test_golden_scores_are_upstreams() -> None:
    if not (sample := os.environ.get("FLAIR_BENCH_SAMPLE")) or not (golden := os.environ.get("FLAIR_BENCH_GOLDEN")):
        pytest.skip("needs FLAIR_BENCH_SAMPLE and FLAIR_BENCH_GOLDEN")
    folder = Path(golden) / "scoring"
    for name, due in json.loads((folder / "expected.json").read_text()).items():
        report = fs.score(sample, folder / name, out_of_range="drop")
        assert np.array_equal(report.confusion, due["confusion"]), name
        assert report.miou == pytest.approx(due["miou"], abs=1e-12), name
        assert report.pixels == due["pixels"], name
