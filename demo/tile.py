"""The job of the demo: computes one tile of a large picture of the Mandelbrot set.

    python3 tile.py COLUMN ROW

writes the tile to ``tile.png``. It runs on a VM that has nothing but a Python (3.6 or newer), so it is one file and
needs the standard library alone.
"""

import math
import struct
import sys
import zlib
from pathlib import Path

COLUMNS = 8
ROWS = 5
TILE_SIZE = 160
"""Width and height of a tile in pixels."""

WIDTH = COLUMNS * TILE_SIZE
HEIGHT = ROWS * TILE_SIZE

CENTRE = complex(-0.74531, 0.11267)
"""A spiral in Seahorse Valley, on the set's border."""

PIXEL = 0.0012 / WIDTH
"""Side of a pixel in the complex plane."""

BAILOUT = 1000.0
"""Radius beyond which a point has escaped. Much larger than the 2 that mathematics asks for, so that colours run
into each other without steps."""

MAX_ITERATIONS = 2400

INSIDE = bytes((4, 5, 18))
"""Colour of points that never escape."""

STOPS = (
    (0.00, (0, 7, 60)),
    (0.16, (24, 82, 180)),
    (0.42, (232, 248, 255)),
    (0.64, (255, 170, 0)),
    (0.82, (96, 12, 34)),
    (1.00, (0, 7, 60)),
)
"""The palette: a ring of colours and where on it each stands."""

SHADES = 2048


def palette() -> "list[tuple[float, ...]]":
    """The ring of colours as :data:`SHADES` triples of numbers from 0 to 255."""
    shades = []
    for stop in range(len(STOPS) - 1):
        (start, first), (end, last) = STOPS[stop], STOPS[stop + 1]
        for index in range(round(start * SHADES), round(end * SHADES)):
            share = (index / SHADES - start) / (end - start)
            share *= share * (3 - 2 * share)
            shades.append(tuple(first[part] + (last[part] - first[part]) * share for part in range(3)))
    return shades


def escape(c: complex) -> "tuple[int, complex, complex]":
    """Iterates z² + c until it escapes.

    Returns the number of iterations, z, and the derivative of z by c. The number is 0 for a point that didn't escape.
    """
    z = 0j
    derivative = 0j
    for done in range(0, MAX_ITERATIONS, 4):
        before = z, derivative
        # Four iterations between two looks at the radius and no inner loop: all the time goes here.
        derivative = 2 * z * derivative + 1
        z = z * z + c
        derivative = 2 * z * derivative + 1
        z = z * z + c
        derivative = 2 * z * derivative + 1
        z = z * z + c
        derivative = 2 * z * derivative + 1
        z = z * z + c
        if abs(z) > BAILOUT:
            z, derivative = before
            iterations = done
            while abs(z) <= BAILOUT:
                derivative = 2 * z * derivative + 1
                z = z * z + c
                iterations += 1
            return iterations, z, derivative
    return 0, z, derivative


def colour(c: complex, shades: "list[tuple[float, ...]]") -> bytes:
    """The colour of one point, as three bytes.

    Its hue tells how fast the point escapes. The light comes from the upper left and falls on the landscape whose
    height is the distance to the set; close to the set it grows dark, which draws the fine threads.
    """
    iterations, z, derivative = escape(c)
    if not iterations:
        return INSIDE
    radius = abs(z)
    speed = iterations + 1 - math.log(math.log(radius), 2)
    shade = shades[int(math.sqrt(speed) * 0.22 * SHADES) % SHADES]
    slope = z / derivative
    slope /= abs(slope)
    light = 0.35 + 0.33 * max(0.0, 1.3 + (slope.imag - slope.real) * math.sqrt(0.5))
    distance = radius * math.log(radius) / abs(derivative) / PIXEL
    brightness = light * (0.25 + 0.75 * min(1.0, distance) ** 0.3)
    return bytes(min(255, int(part * brightness)) for part in shade)


def render(column: int, row: int, size: int = TILE_SIZE) -> bytes:
    """The upper left ``size`` × ``size`` pixels of a tile, row by row, three bytes each."""
    shades = palette()
    pixels = []
    for y in range(row * TILE_SIZE, row * TILE_SIZE + size):
        for x in range(column * TILE_SIZE, column * TILE_SIZE + size):
            pixels.append(colour(CENTRE + complex(x - WIDTH / 2, HEIGHT / 2 - y) * PIXEL, shades))
    return b"".join(pixels)


def encode_png(width: int, height: int, pixels: bytes) -> bytes:
    """A PNG file of an image with three bytes a pixel."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    line = 3 * width
    lines = b"".join(b"\0" + pixels[y * line : (y + 1) * line] for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines, 9)) + chunk(b"IEND", b"")


def main() -> None:
    column, row = int(sys.argv[1]), int(sys.argv[2])
    Path("tile.png").write_bytes(encode_png(TILE_SIZE, TILE_SIZE, render(column, row)))


if __name__ == "__main__":
    main()
