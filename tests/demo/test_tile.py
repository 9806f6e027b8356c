"""The tile program: alone in a directory, as on a VM, and its parts."""

import subprocess
import sys
from pathlib import Path

import pytest

from demo import tile
from demo.picture import decode_png


def test_the_program_needs_nothing_but_a_python_and_leaves_a_tile(tmp_path: Path) -> None:
    (tmp_path / "tile.py").write_bytes(Path(tile.__file__).read_bytes())
    command = [sys.executable, "-I", "-S", "tile.py", "0", "0"]

    done = subprocess.run(command, cwd=tmp_path, env={}, capture_output=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    pixels = decode_png((tmp_path / "tile.png").read_bytes(), tile.TILE_SIZE, tile.TILE_SIZE)
    assert pixels[: 3 * 4] == tile.render(0, 0, size=4)[: 3 * 4]
    assert len({pixels[i : i + 3] for i in range(0, len(pixels), 3)}) > 1000


def test_a_tile_begins_where_its_neighbour_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TILE_SIZE": 3, "WIDTH": 24, "HEIGHT": 15, "PIXEL": 0.0012 / 24}.items():
        monkeypatch.setattr(tile, name, value)
    wide = tile.render(0, 0, size=4)

    right, below = tile.render(1, 0, size=1), tile.render(0, 1, size=1)

    assert len({wide[i : i + 3] for i in range(0, len(wide), 3)}) > 8
    assert right == wide[3 * 3 : 3 * 4]
    assert below == wide[3 * 4 * 3 : 3 * 4 * 3 + 3]


def test_points_of_the_set_never_escape() -> None:
    for inside in (0j, -1 + 0j, -0.1 + 0.1j):
        assert tile.escape(inside)[0] == 0
        assert tile.colour(inside, tile.palette()) == tile.INSIDE


@pytest.mark.parametrize("c", [1 + 1j, 0.3 + 0.6j, -0.75 + 0.02j, complex(-0.7449, 0.1131), 2000 + 0j])
def test_the_unrolled_iteration_finds_what_the_plain_one_does(c: complex) -> None:
    z, derivative, iterations = 0j, 0j, 0
    while abs(z) <= tile.BAILOUT:
        z, derivative, iterations = z * z + c, 2 * z * derivative + 1, iterations + 1

    assert tile.escape(c) == (iterations, z, derivative)


def test_the_palette_is_a_ring_without_steps() -> None:
    shades = tile.palette()

    assert len(shades) == tile.SHADES
    for before, after in zip(shades, [*shades[1:], shades[0]], strict=True):
        assert max(abs(a - b) for a, b in zip(before, after, strict=True)) < 2
