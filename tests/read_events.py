"""Reads a run's event files with TensorBoard's own reader, and lists what it finds.

    pip install tensorboard
    python tests/read_events.py RUN/tensorboard [--require TAG]...

A tag a line: its kind, its number of steps, the first and the last step, and for numbers the last value, for images
the last one's size. Exits with 1 where a required tag is missing, a step comes twice, or a picture is none.
"""

import argparse
import struct
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def png_size(data: bytes) -> tuple[int, int]:
    if data[:8] != b"\x89PNG\r\n\x1a\n" or data[12:16] != b"IHDR":
        sys.exit("a picture is no PNG")
    return struct.unpack(">II", data[16:24])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--require", action="append", default=[], metavar="TAG")
    arguments = parser.parse_args()

    # 0 is "keep all".
    events = EventAccumulator(arguments.folder, size_guidance={"scalars": 0, "images": 0})
    events.Reload()
    tags = events.Tags()
    for tag in sorted(tags["scalars"]):
        values = events.Scalars(tag)
        steps = [value.step for value in values]
        print(f"scalar {tag}: {len(steps)} steps, {steps[0]} to {steps[-1]}, last value {values[-1].value:.6g}")
        if steps != sorted(set(steps)):
            sys.exit(f"the steps of `{tag}` do not ascend: {steps}")
    for tag in sorted(tags["images"]):
        images = events.Images(tag)
        steps = [image.step for image in images]
        for image in images:
            if png_size(image.encoded_image_string) != (image.width, image.height):
                sys.exit(f"a picture of `{tag}` has another size than it says")
        last = images[-1]
        print(f"image {tag}: {len(steps)} steps, {steps[0]} to {steps[-1]}, {last.width} × {last.height}")
    missing = set(arguments.require) - set(tags["scalars"]) - set(tags["images"])
    if missing:
        sys.exit(f"missing: {', '.join(sorted(missing))}")


if __name__ == "__main__":
    main()
