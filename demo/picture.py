"""Puts the picture together from its tiles."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

from demo import tile
from demo.batch import tiles

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">IIBBBBB")
_TRUE_COLOUR = (8, 2, 0, 0, 0)
"""What the header says after width and height: 8 bits a channel, red green blue, not interlaced."""


class BrokenTileError(ValueError):
    """What a job brought back is not the tile that it should be."""


def decode_png(image: bytes, width: int, height: int) -> bytes:
    """The pixels of a PNG file as :func:`demo.tile.encode_png` writes it, row by row, three bytes each.

    It came from a VM, so nothing in it is believed; no more memory is used than such an image takes.

    :raises BrokenTileError: if it is anything else, or not of this size.
    """
    chunks = _chunks(image)
    if chunks.get(b"IHDR") != _HEADER.pack(width, height, *_TRUE_COLOUR):
        raise BrokenTileError(f"not a true-colour image of {width} x {height} pixels")
    line = 1 + 3 * width
    unpacker = zlib.decompressobj()
    try:
        lines = unpacker.decompress(chunks.get(b"IDAT", b""), height * line + 1)
    except zlib.error as error:
        raise BrokenTileError(str(error)) from error
    if len(lines) != height * line:
        raise BrokenTileError(f"{len(lines)} bytes of pixels instead of {height * line}")
    if any(lines[::line]):
        raise BrokenTileError("filtered lines")
    return b"".join(lines[start + 1 : start + line] for start in range(0, len(lines), line))


def stitch(images: Mapping[str, bytes]) -> bytes:
    """The whole picture as a PNG file.

    :param images: the tile that each job brought back, by the job's name.
    :raises BrokenTileError: naming the job whose tile is missing or broken.
    """
    line = 3 * tile.TILE_SIZE
    picture = bytearray(3 * tile.WIDTH * tile.HEIGHT)
    for name, (column, row) in tiles().items():
        try:
            pixels = decode_png(images.get(name, b""), tile.TILE_SIZE, tile.TILE_SIZE)
        except BrokenTileError as error:
            raise BrokenTileError(f"the tile of job {name} is broken: {error}") from error
        for y in range(tile.TILE_SIZE):
            start = 3 * ((row * tile.TILE_SIZE + y) * tile.WIDTH + column * tile.TILE_SIZE)
            picture[start : start + line] = pixels[y * line : (y + 1) * line]
    return tile.encode_png(tile.WIDTH, tile.HEIGHT, bytes(picture))


def _chunks(image: bytes) -> dict[bytes, bytes]:
    if not image.startswith(_SIGNATURE):
        raise BrokenTileError("not a PNG file")
    chunks: dict[bytes, bytes] = {}
    place = len(_SIGNATURE)
    while place < len(image):
        content = image[place + 8 : place + 8 + int.from_bytes(image[place : place + 4])]
        kind = image[place + 4 : place + 8]
        place += 12 + len(content)
        if zlib.crc32(kind + content).to_bytes(4) != image[place - 4 : place]:
            raise BrokenTileError("damaged or cut off")
        chunks[kind] = content
    return chunks
