"""confusion_matrix and metrics, against the libraries that people use otherwise."""

from __future__ import annotations

import pickle
from pathlib import Path

import flair_scoring as fs
import numpy as np
import pytest
from conftest import maps, upstream
from sklearn import metrics as sk

SHAPES = [(7,), (512, 512), (3, 40, 30), (1, 1), (0,), (1_048_577, 2)]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_matrix_is_upstreams(shape: tuple[int, ...]) -> None:
    truth, prediction = maps(1, shape)
    matrix = fs.confusion_matrix(truth, prediction)
    assert (matrix.dtype, matrix.shape) == (np.uint64, (13, 13))
    if truth.size:  # scikit-learn refuses what is empty
        assert np.array_equal(matrix, upstream(truth, prediction))
    assert matrix.sum() == truth.size


@pytest.mark.parametrize("most_label", [1, 5, 12, 19])
@pytest.mark.parametrize("most_class", [0, 5, 11, 12])
def test_figures_are_those_of_scikit_learn(most_label: int, most_class: int) -> None:
    truth, prediction = maps(2, (64, 64), most_label=most_label, most_class=most_class)
    scores = fs.metrics(fs.confusion_matrix(truth, prediction))
    y, p = np.minimum(truth - 1, 12).ravel(), prediction.ravel()
    present = np.union1d(y, p)
    iou = sk.jaccard_score(y, p, labels=present, average=None, zero_division=0)
    assert [each.iou is not None for each in scores.classes] == [c in present for c in range(13)]
    assert np.allclose([scores.classes[c].iou for c in present], iou, rtol=0, atol=1e-12)
    averaged = iou[present < 12]
    assert scores.classes_averaged == len(averaged)
    assert scores.miou == pytest.approx(averaged.mean(), abs=1e-12)
    assert scores.overall_accuracy == pytest.approx(sk.accuracy_score(y, p), abs=1e-12)
    assert scores["building"] == scores.classes[0]
    with pytest.raises(KeyError):
        scores["castle"]


@pytest.mark.parametrize("most_label", [5, 12, 19])
def test_figures_are_those_of_torchmetrics(most_label: int) -> None:
    torch = pytest.importorskip("torch")
    classification = pytest.importorskip("torchmetrics.classification")
    truth, prediction = maps(3, (64, 64), most_label=most_label)
    y = torch.from_numpy(np.minimum(truth - 1, 12).astype(np.int64))
    p = torch.from_numpy(prediction.astype(np.int64))
    matrix = fs.confusion_matrix(truth, prediction)
    assert matrix.tolist() == classification.MulticlassConfusionMatrix(13)(p, y).tolist()
    iou = classification.MulticlassJaccardIndex(13, average=None)(p, y).tolist()
    # It divides in f32, and has 0 for what is nowhere.
    assert [each.iou or 0.0 for each in fs.metrics(matrix).classes] == pytest.approx(iou, abs=1e-6)


def test_layouts_and_types_that_hold_bytes_are_taken() -> None:
    truth, prediction = maps(4, (60, 50))
    due = upstream(truth, prediction)
    wide = np.zeros((60, 100), np.uint8)
    wide[:, ::2] = prediction
    for a, b in [
        (np.asfortranarray(truth), prediction),
        (truth, wide[:, ::2]),
        (truth[::-1, ::-1].copy()[::-1, ::-1], prediction),
        (truth.astype(np.int64), prediction.astype(np.int16)),
        (truth.astype(">u4"), prediction.astype(np.uint64)),
        (truth.tolist(), prediction.tolist()),
    ]:
        assert np.array_equal(fs.confusion_matrix(a, b), due)
    truth.setflags(write=False)
    assert np.array_equal(fs.confusion_matrix(truth, prediction), due)


def test_arrays_that_do_not_fit_are_refused() -> None:
    one = np.ones((2, 3), np.uint8)
    with pytest.raises(fs.InputError, match=r"\(2, 3\), pred \(3, 2\)"):
        fs.confusion_matrix(one, one.T)
    for wrong in (one.astype(float), one.astype(bool), one.astype(str), one.astype(object), 1j * one):
        with pytest.raises(fs.ArrayTypeError, match="pred is of .*: expected integers"):
            fs.confusion_matrix(one, wrong)
    with pytest.raises(TypeError):
        fs.confusion_matrix(one.astype(float), one)
    with pytest.raises(ValueError, match="truth has values from -1 to 300: expected 0 to 255"):
        fs.confusion_matrix([-1, 300], [0, 0])
    with pytest.raises(fs.InputError, match="expected `reject` or `drop`"):
        fs.confusion_matrix(one, one, out_of_range="keep")
    with pytest.raises(fs.InputError, match="no protocol `flair3`"):
        fs.confusion_matrix(one, one, protocol="flair3")
    with pytest.raises(fs.InputError, match="threads is 0"):
        fs.confusion_matrix(one, one, threads=0)


@pytest.mark.parametrize("size", [5, 3 << 20])
def test_values_that_mean_nothing_are_told(size: int) -> None:
    truth, prediction = np.ones(size, np.uint8), np.zeros(size, np.uint8)
    truth[[0, -1]], prediction[[1, -2]] = (0, 20), (13, 255)
    with pytest.raises(fs.StrayValuesError) as caught:
        fs.confusion_matrix(truth, prediction)
    assert (caught.value.labels, caught.value.predictions) == ({0: 1, 20: 1}, {13: 1, 255: 1})
    # As a process pool would hand it on.
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again), again.labels) == (fs.StrayValuesError, str(caught.value), {0: 1, 20: 1})
    with pytest.raises(fs.StrayValuesError):
        fs.confusion_matrix(truth, prediction, out_of_range="drop")


def test_dropping_is_upstreams_hole_by_word() -> None:
    truth, prediction = maps(5, (40, 40), most_class=40)
    matrix = fs.confusion_matrix(truth, prediction, out_of_range="drop")
    assert np.array_equal(matrix, upstream(truth, prediction))
    assert matrix.sum() == (prediction < 13).sum()


def test_protocols_by_name_by_file_and_with_other_classes(tmp_path: Path) -> None:
    truth, prediction = maps(6, (40, 40))
    matrix = fs.confusion_matrix(truth, prediction)
    y, p = np.minimum(truth - 1, 12).ravel(), prediction.ravel()
    inside = (y < 12) & (p < 12)
    hub = fs.metrics(matrix, protocol="flair-hub")
    due = sk.jaccard_score(y[inside], p[inside], labels=list(range(12)), average="macro")
    assert (hub.protocol, hub.miou) == ("flair-hub", pytest.approx(due, abs=1e-12))

    file = tmp_path / "mine.yml"
    file.write_text("{name: mine, nomenclature: flair2-13, excluded: [water, other], ignored_labels: [0]}")
    truth[:3] = 0
    mine = fs.confusion_matrix(truth, prediction, protocol=file)
    assert mine.sum() == truth.size - 3 * 40
    scores = fs.metrics(mine, protocol=file)
    assert scores.protocol.startswith("mine@") and not scores["water"].in_mean

    assert fs.Protocol(file) == fs.Protocol(str(file)) != fs.Protocol("flair2")
    assert (repr(fs.Protocol("flair2")), fs.Protocol("flair2").classes[12]) == ("<Protocol flair2>", "other")

    labels = fs.Protocol("flair2", nomenclature="flair-19")
    nineteen = fs.confusion_matrix(np.arange(1, 20), np.arange(19), protocol=labels)
    assert np.array_equal(nineteen, np.eye(19))
    assert fs.metrics(nineteen, protocol=labels).miou == 1
    assert fs.metrics(nineteen, protocol=labels).protocol == labels.id == "flair2/flair-19"
    with pytest.raises(fs.InputError, match="has the shape"):
        fs.metrics(nineteen)
    with pytest.raises(fs.FileAccessError) as caught:
        fs.metrics(matrix, protocol=tmp_path / "none.yml")
    assert caught.value.filename == str(tmp_path / "none.yml")


def test_matrices_that_are_none_are_refused() -> None:
    matrix = np.zeros((13, 13), np.int64)
    assert (fs.metrics(matrix).miou, fs.metrics(matrix).kappa) == (None, None)
    matrix[2, 3] = -1
    with pytest.raises(fs.InputError, match="negative"):
        fs.metrics(matrix)
    with pytest.raises(fs.ArrayTypeError):
        fs.metrics(matrix / 2)
    matrix[2, 3] = 1 << 62
    with pytest.raises(fs.InputError, match="2\\^53"):
        fs.metrics(matrix)


def test_masked_arrays_are_refused() -> None:
    truth, prediction = maps(3, (8, 8))
    masked = np.ma.masked_array(prediction, mask=prediction > 3)
    for arrays in [(truth, masked), (np.ma.masked_array(truth), prediction)]:
        with pytest.raises(TypeError, match="is a masked array"):
            fs.confusion_matrix(*arrays)


def test_a_matrix_of_floats_is_told_what_it_should_be() -> None:
    with pytest.raises(TypeError, match="matrix is of float64: expected integers, best uint64"):
        fs.metrics(np.eye(13))


@pytest.mark.parametrize("threads", [0, -1, 1025, 10**9])
def test_a_number_of_threads_that_makes_no_sense_is_refused(threads: int) -> None:
    truth, prediction = maps(3, (8, 8))
    with pytest.raises(ValueError, match="expected 1 to 1024"):
        fs.confusion_matrix(truth, prediction, threads=threads)
    assert fs.confusion_matrix(truth, prediction, threads=1024).sum() == truth.size


@pytest.mark.parametrize("name", ["flair2", "flair-hub"])
def test_a_protocol_can_be_pickled(name: str) -> None:
    protocol = fs.Protocol(name)
    again = pickle.loads(pickle.dumps(protocol))
    assert (again, again.id, again.classes) == (protocol, protocol.id, protocol.classes)
