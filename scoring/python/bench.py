"""Times `confusion_matrix` beside scikit-learn and numpy.bincount: python scoring/python/bench.py [--pairs 1000]

Two kinds of maps of 512 × 512 pixels: areas of 32 × 32 with 5 % of specks, as land cover has them, and noise. A pair
of arrays at a time, then all pairs as one array. Milliseconds: the median of the runs.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

import flair_scoring as fs
import numpy as np
from sklearn.metrics import confusion_matrix


def areas(random: np.random.Generator, shape: tuple[int, ...], values: range) -> np.ndarray:
    coarse = random.integers(values.start, values.stop, (*shape[:-2], 16, 16), dtype=np.uint8)
    return coarse.repeat(shape[-2] // 16, -2).repeat(shape[-1] // 16, -1)


def specks(random: np.random.Generator, values: np.ndarray, most: int) -> np.ndarray:
    values = values.copy()
    places = random.integers(0, values.size, values.size // 20)
    values.reshape(-1)[places] = random.integers(0, most, places.size, dtype=np.uint8)
    return values


def classes(truth: np.ndarray) -> np.ndarray:
    target = truth - 1
    target[target > 12] = 12
    return target


def by_sklearn(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    return confusion_matrix(classes(truth).ravel(), prediction.ravel(), labels=list(range(13)))


def by_bincount(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    pairs = classes(truth).ravel().astype(np.int64) * 13 + prediction.ravel()
    return np.bincount(pairs, minlength=169).reshape(13, 13)


def timed(call: Callable[[], object], runs: int) -> float:
    call()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=1000)
    pairs = parser.parse_args().pairs
    random = np.random.default_rng(1)
    shape = (pairs, 512, 512)
    truth = areas(random, shape, range(1, 20))
    land = truth, specks(random, classes(truth), 13)
    noise = random.integers(1, 20, shape, dtype=np.uint8), random.integers(0, 13, shape, dtype=np.uint8)
    print(f"{os.cpu_count()} cores, numpy {np.__version__}")
    for kind, (truth, prediction) in [("areas", land), ("noise", noise)]:
        one = truth[0], prediction[0]
        assert np.array_equal(fs.confusion_matrix(*one), by_sklearn(*one))
        assert np.array_equal(by_bincount(*one), by_sklearn(*one))
        for name, count in [
            ("flair_scoring", fs.confusion_matrix),
            ("numpy.bincount", by_bincount),
            ("scikit-learn", by_sklearn),
        ]:
            print(f"{kind}  one pair             {name:15} {timed(lambda: count(*one), 15):10.3f} ms")
        for name, call in [
            ("flair_scoring", lambda: sum(map(fs.confusion_matrix, truth, prediction))),
            ("flair_scoring, as one array", lambda: fs.confusion_matrix(truth, prediction)),
            ("flair_scoring, as one array, 1 thread", lambda: fs.confusion_matrix(truth, prediction, threads=1)),
            ("numpy.bincount", lambda: sum(map(by_bincount, truth, prediction))),
            ("scikit-learn", lambda: sum(map(by_sklearn, truth, prediction))),
        ]:
            print(f"{kind}  {pairs} pairs  {name:37} {timed(call, 1 if name == 'scikit-learn' else 3):10.1f} ms")


if __name__ == "__main__":
    main()
