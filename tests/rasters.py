"""Compares the program's reading of TIFFs with Pillow's and GDAL's, over a grid of the tags that readers disagree about.

    pip install numpy pillow rasterio
    python tests/rasters.py [--binary target/release/flair-bench]

Each file is an image of one band, written here, with its own combination of compression, predictor, fill order,
orientation, planar configuration, bits per sample, photometric interpretation, and strips or tiles. What the program
scores, it must read as it was written, and so must Pillow and GDAL if they read it at all; whatever one of them reads
otherwise, the program must refuse. Exits with 1 if a file is an exception.
"""

import argparse
import io
import itertools
import json
import struct
import subprocess
import sys
import tempfile
import warnings
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import PIL
import rasterio
from PIL import Image
from rasterio.io import MemoryFile

Array = np.ndarray
HEIGHT, WIDTH, ROWS, TILE = 32, 48, 8, 16
NONE, LZW, DEFLATE, OLD_DEFLATE, PACKBITS, ZSTD = 1, 5, 8, 32946, 32773, 50000


def lzw(data: bytes) -> bytes:
    """Codes of 9 bits alone: the table is cleared before it needs more."""
    codes = []
    for start in range(0, len(data), 200):
        codes += [256, *data[start : start + 200]]
    codes.append(257)
    bits = "".join(f"{code:09b}" for code in codes)
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def packbits(data: bytes) -> bytes:
    parts = [data[start : start + 128] for start in range(0, len(data), 128)]
    return b"".join(bytes([len(part) - 1]) + part for part in parts)


def zstd(data: bytes) -> bytes:
    """One frame of one block without compression (RFC 8878); its size has two bytes."""
    size = len(data)
    frame = b"\x28\xb5\x2f\xfd\x60" + struct.pack("<H", size - 256)
    return frame + struct.pack("<I", size << 3 | 1)[:3] + data


CODECS = {NONE: bytes, LZW: lzw, DEFLATE: zlib.compress, OLD_DEFLATE: zlib.compress, PACKBITS: packbits, ZSTD: zstd}


@dataclass(frozen=True)
class Form:
    """A combination of tags; None leaves the tag out."""

    compression: int
    predictor: int | None
    fill_order: int | None
    orientation: int | None
    planar: int | None
    bits: int
    photometric: int | None
    is_tiled: bool

    def write(self, image: Array) -> bytes:
        height, width = image.shape
        if self.is_tiled:
            corners = itertools.product(range(0, height, TILE), range(0, width, TILE))
            chunks = [image[y : y + TILE, x : x + TILE] for y, x in corners]
        else:
            chunks = [image[y : y + ROWS] for y in range(0, height, ROWS)]
        if self.bits == 16:
            chunks = [chunk.astype("<u2") for chunk in chunks]
        if self.predictor == 2:
            chunks = [np.diff(chunk, axis=1, prepend=chunk.dtype.type(0)) for chunk in chunks]
        stored = [CODECS[self.compression](chunk.tobytes()) for chunk in chunks]
        offsets = [8 + sum(map(len, stored[:index])) for index in range(len(stored))]
        at, counts = (324, 325) if self.is_tiled else (273, 279)
        tags = {
            256: [width],
            257: [height],
            258: [self.bits],
            259: [self.compression],
            262: self.photometric,
            266: self.fill_order,
            274: self.orientation,
            277: [1],
            284: self.planar,
            317: self.predictor,
            at: offsets,
            counts: [len(part) for part in stored],
        }
        tags |= {322: [TILE], 323: [TILE]} if self.is_tiled else {278: [ROWS]}
        if self.photometric == 3:
            tags[320] = list(range(0, 3 << self.bits))
        tags = {tag: value if isinstance(value, list) else [value] for tag, value in tags.items() if value is not None}
        data = b"".join(stored)
        directory, rest = b"", b""
        rest_at = 8 + len(data) + 2 + 12 * len(tags) + 4
        for tag, values in sorted(tags.items()):
            kind, code = (4, "I") if tag in (273, 279, 324, 325) else (3, "H")
            packed = struct.pack(f"<{len(values)}{code}", *(value & 0xFFFF if kind == 3 else value for value in values))
            if len(packed) > 4:
                packed, rest = struct.pack("<I", rest_at + len(rest)), rest + packed + b"\0" * (len(packed) % 2)
            directory += struct.pack("<HHI", tag, kind, len(values)) + packed.ljust(4, b"\0")
        start = struct.pack("<2sHI", b"II", 42, 8 + len(data))
        return start + data + struct.pack("<H", len(tags)) + directory + bytes(4) + rest


def forms() -> list[Form]:
    """The grid: everything beside every codec, and the odd tags beside each other."""
    predictors, layouts = (None, 1, 2), (False, True)
    orders, turns = (None, 2), (None, 1, 3, 6)
    photometrics = (None, 0, 1, 2, 3, 4, 8)
    every = [
        *itertools.product(CODECS, predictors, orders, turns, (None, 2), (8,), (1,), layouts),
        *itertools.product(CODECS, predictors, (None, 2), (None, 3), (1,), (8, 16), photometrics, layouts),
    ]
    return sorted({Form(*values) for values in every}, key=lambda form: [value or -1 for value in astuple(form)])


def pillow(file: bytes) -> Array | None:
    try:
        with Image.open(io.BytesIO(file)) as image:
            return np.array(image)
    except Exception:
        return None


def gdal(file: bytes) -> Array | None:
    try:
        with MemoryFile(file) as memory, memory.open() as dataset:
            return dataset.read(1)
    except Exception:
        return None


def differs(found: Array | None, image: Array) -> bool:
    return found is not None and not np.array_equal(found, image)


def program(binary: Path, file: bytes, image: Array) -> Array | None:
    """The confusion matrix of the file against masks of the pixels that were written; None if it is refused."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("msk", "pred"):
            (Path(folder) / name).mkdir()
        Image.fromarray(image + 1).save(Path(folder) / "msk/MSK_000001.tif", compression="tiff_lzw")
        (Path(folder) / "pred/PRED_000001.tif").write_bytes(file)
        command = [binary, "score", "--truth", f"{folder}/msk", "--pred", f"{folder}/pred", "--json", "-"]
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode == 0:
            return np.array(json.loads(done.stdout)["confusion"])
        assert done.returncode == 3, done
        return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=Path, default=Path("target/release/flair-bench"))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    image = np.random.default_rng(5).integers(0, 13, (HEIGHT, WIDTH), dtype=np.uint8)
    grid = forms()
    files = [form.write(image) for form in grid]
    with ThreadPoolExecutor(4) as pool:
        matrices = list(pool.map(lambda file: program(arguments.binary, file, image), files))
    counts, wrong = Counter(), []
    for form, file, matrix in zip(grid, files, matrices, strict=True):
        found = {"Pillow": pillow(file), "GDAL": gdal(file)}
        for name, pixels in found.items():
            counts[f"{name} reads"] += pixels is not None
            counts[f"{name} reads otherwise"] += differs(pixels, image)
        if matrix is None:
            counts["refused"] += 1
            counts["refused, though both read them as written"] += all(
                pixels is not None and not differs(pixels, image) for pixels in found.values()
            )
            continue
        counts["scored"] += 1
        if np.trace(matrix) != matrix.sum() or matrix.sum() != image.size:
            wrong.append(f"{form}: the program reads it otherwise than written")
        wrong += [f"{form}: {name} reads it otherwise" for name, pixels in found.items() if differs(pixels, image)]
    print(f"{len(grid)} files; GDAL {rasterio.__gdal_version__}, Pillow {PIL.__version__}")
    for what, count in sorted(counts.items()):
        print(f"{count:6}  {what}")
    print("\n".join(wrong[:20]))
    # A grid of which nothing is scored, or nothing is told apart, compares nothing.
    idle = [what for what in ("scored", "refused", "Pillow reads otherwise", "GDAL reads otherwise") if not counts[what]]
    if idle:
        print(f"the grid does not show: {', '.join(idle)}")
    return 1 if wrong or idle else 0


if __name__ == "__main__":
    sys.exit(main())
