"""Random maps, what upstream makes of them, and folders of both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import confusion_matrix

Map = NDArray[np.uint8]


def upstream(truth: Map, prediction: Map) -> NDArray[np.int64]:
    """Upstream's matrix, as src/metrics.py:38-42 makes it: labels to classes, then scikit-learn."""
    target = truth - 1
    target[target > 12] = 12
    matrix: NDArray[np.int64] = confusion_matrix(target.ravel(), prediction.ravel(), labels=list(range(13)))
    return matrix


def maps(seed: int, shape: tuple[int, ...], *, most_label: int = 19, most_class: int = 12) -> tuple[Map, Map]:
    """A truth and a prediction."""
    random = np.random.default_rng(seed)
    return (
        random.integers(1, most_label + 1, shape, dtype=np.uint8),
        random.integers(0, most_class + 1, shape, dtype=np.uint8),
    )


class Folders:
    """Masks and predictions of some patches of 512 × 512 pixels."""

    def __init__(self, root: Path, patches: int) -> None:
        self.truth, self.predictions, self.root = root / "truth", root / "predictions", root
        zone = self.truth / "D015_2020" / "Z1_AA" / "msk"
        zone.mkdir(parents=True)
        self.predictions.mkdir()
        self.ids = range(77413, 77413 + patches)
        self.maps = {id: maps(id, (512, 512)) for id in self.ids}
        for id, (truth, prediction) in self.maps.items():
            Image.fromarray(truth).save(zone / f"MSK_{id:06}.tif", compression="tiff_lzw")
            self.write(id, prediction)

    def write(self, id: int, prediction: Map) -> None:
        Image.fromarray(prediction).save(self.predictions / f"PRED_{id:06}.tif", compression="tiff_lzw")


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path, 3)
