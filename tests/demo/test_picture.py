"""Decoding what VMs bring back, and putting it together."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo import tile
from demo.batch import tiles
from demo.picture import BrokenTileError, decode_png, stitch

PIXELS = bytes(range(3 * 4 * 2))


@given(st.integers(1, 9), st.integers(1, 9), st.data())
def test_decoding_undoes_encoding(width: int, height: int, data: st.DataObject) -> None:
    pixels = data.draw(st.binary(min_size=3 * width * height, max_size=3 * width * height))

    assert decode_png(tile.encode_png(width, height, pixels), width, height) == pixels


def test_another_size_is_refused() -> None:
    with pytest.raises(BrokenTileError, match="4 x 3"):
        decode_png(tile.encode_png(4, 2, PIXELS), 4, 3)


@pytest.mark.parametrize("length", range(len(tile.encode_png(4, 2, PIXELS))))
def test_what_is_cut_off_is_refused(length: int) -> None:
    # Without its last chunk, which is empty and 12 bytes long, it is still whole.
    image = tile.encode_png(4, 2, PIXELS)
    if length == len(image) - 12:
        assert decode_png(image[:length], 4, 2) == PIXELS
        return
    with pytest.raises(BrokenTileError):
        decode_png(image[:length], 4, 2)


@given(st.integers(0, len(tile.encode_png(4, 2, PIXELS)) - 1), st.integers(1, 255))
def test_a_changed_byte_is_noticed(place: int, change: int) -> None:
    image = bytearray(tile.encode_png(4, 2, PIXELS))
    image[place] ^= change

    with pytest.raises(BrokenTileError):
        decode_png(bytes(image), 4, 2)


@given(st.binary(max_size=200))
def test_rubbish_is_refused(rubbish: bytes) -> None:
    with pytest.raises(BrokenTileError):
        decode_png(rubbish, 4, 2)
    with pytest.raises(BrokenTileError):
        decode_png(b"\x89PNG\r\n\x1a\n" + rubbish, 4, 2)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (bytes(10_000_000), "27 bytes of pixels instead of 26"),
        (bytes(25), "25 bytes of pixels instead of 26"),
        (b"\1" + bytes(25), "filtered"),
    ],
    ids=["too many: only one byte more than needed is unpacked", "too few", "filtered"],
)
def test_other_lines_than_ours_are_refused(lines: bytes, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compress = zlib.compress
    monkeypatch.setattr(zlib, "compress", lambda _ours, level: compress(lines, level))
    image = tile.encode_png(4, 2, PIXELS)

    with pytest.raises(BrokenTileError, match=reason):
        decode_png(image, 4, 2)


def plain_tiles() -> dict[str, bytes]:
    """Tiles of one colour each, another for each place."""
    size = tile.TILE_SIZE**2
    return {
        name: tile.encode_png(tile.TILE_SIZE, tile.TILE_SIZE, bytes((column, row, 200)) * size)
        for name, (column, row) in tiles().items()
    }


@pytest.fixture
def _small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tile, "TILE_SIZE", 2)
    monkeypatch.setattr(tile, "WIDTH", 2 * tile.COLUMNS)
    monkeypatch.setattr(tile, "HEIGHT", 2 * tile.ROWS)


@pytest.mark.usefixtures("_small_tiles")
def test_every_tile_comes_to_its_place() -> None:
    pixels = decode_png(stitch(plain_tiles()), tile.WIDTH, tile.HEIGHT)

    for y in range(tile.HEIGHT):
        for x in range(tile.WIDTH):
            start = 3 * (y * tile.WIDTH + x)
            assert tuple(pixels[start : start + 3]) == (x // 2, y // 2, 200)


@pytest.mark.usefixtures("_small_tiles")
def test_the_job_whose_tile_is_broken_or_missing_is_named() -> None:
    images = plain_tiles()
    images["tile-03-02"] = images["tile-03-02"][:-20]
    with pytest.raises(BrokenTileError, match="tile-03-02"):
        stitch(images)

    del images["tile-03-02"]
    with pytest.raises(BrokenTileError, match="tile-03-02"):
        stitch(images)
