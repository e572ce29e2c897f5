"""The numbers behind the mask's canvas, and the figures of one matrix, by table; counts are the engine's."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from components import live, matrix_panel
from components.matrix_route import figures
from components.plotting import LIGHT
from neuroal.inspection.cells import Window, counts, packed
from neuroal.inspection.figures import histogram, most_damaged
from neuroal.inspection.inspector import Figures
from neuroal.inspection.record import Seen


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page()
    own = [matrix_panel.ASSETS / name for name in (*matrix_panel.CANVAS, "figures.js", "words.js")]
    for path in (*(live.ASSETS / name for name in ("status.js", "plotting.js", "cards.js")), *own):
        opened.add_script_tag(content=path.read_text(encoding="utf-8"))
    yield opened
    opened.close()


def in_browser(page: Page, script: str, *arguments: Any) -> Any:
    whole = f"args => JSON.stringify(({script})(...args))"
    return json.loads(page.evaluate(whole, list(arguments)) or "null")


# --- sizes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "screen", "first", "second", "last"),
    [
        pytest.param((576, 1536), (900, 460), (2, 1), (1, 1), (1, 48), id="two weights are one dot"),
        pytest.param((576, 1536), (1700, 600), (1, 1), (1, 2), (1, 48), id="a weight for each pixel"),
        pytest.param((64, 192), (900, 460), (1, 4), (1, 5), (1, 48), id="four pixels for each weight"),
        pytest.param((4096, 11008), (900, 460), (13, 1), (12, 1), (1, 48), id="what fits need not be a usual size"),
        pytest.param((2, 2), (900, 460), (1, 48), None, (1, 48), id="no larger than can be pointed at"),
        pytest.param((100000, 3), (900, 460), (218, 1), (192, 1), (1, 48), id="tall"),
    ],
)
def test_sizes_go_from_the_whole_to_single_weights(
    page: Page, shape: tuple[int, int], screen: tuple[int, int], first: Any, second: Any, last: Any
) -> None:
    script = """([rows, columns], [width, height]) =>
      NeuroAL.cells.ladder({ rows, columns }, { width, height }).map(({ cell, dot }) => [cell, dot])"""
    levels = [tuple(level) for level in in_browser(page, script, shape, screen)]
    assert (levels[0], levels[1] if len(levels) > 1 else None, levels[-1]) == (first, second, last)
    scales = [dot / cell for cell, dot in levels]
    assert scales == sorted(set(scales)) and all(1 in level for level in levels), "whole pixels, each size once"
    cell, dot = levels[0]
    assert -(-shape[1] // cell) * dot <= screen[0] and -(-shape[0] // cell) * dot <= screen[1]


def test_cells_of_one_size_keep_it(page: Page) -> None:
    script = "() => NeuroAL.cells.ladder({ rows: 100, columns: 100 }, { width: 90, height: 90 }, 4)"
    found = in_browser(page, script)
    assert found[0] == {"cell": 4, "dot": 3} and {level["cell"] for level in found} == {4}


@pytest.mark.parametrize(
    ("origin", "size", "room", "kept"),
    [(5, 50, 100, -25), (-9, 200, 100, 0), (40.6, 200, 100, 41), (150, 200, 100, 100)],
)
def test_a_matrix_stays_on_the_screen(page: Page, origin: float, size: int, room: int, kept: int) -> None:
    assert in_browser(page, "NeuroAL.cells.clamp", origin, size, room) == kept


def test_a_window_has_every_dot_that_is_partly_seen(page: Page) -> None:
    script = """(level, origin) =>
      NeuroAL.cells.windowOf({ rows: 30, columns: 50 }, level, origin, { width: 20, height: 10 })"""
    assert in_browser(page, script, {"cell": 4, "dot": 1}, {"x": 3, "y": 0}) == {
        "top": 0, "left": 12, "rows": 30, "columns": 38, "cell": 4}  # fmt: skip
    assert in_browser(page, script, {"cell": 1, "dot": 6}, {"x": 7, "y": 12}) == {
        "top": 2, "left": 1, "rows": 2, "columns": 4, "cell": 1}  # fmt: skip
    assert in_browser(page, script, {"cell": 1, "dot": 1}, {"x": -4, "y": -2})["left"] == 0


@pytest.mark.parametrize("cell", [1, 2, 5, 16, 300])
def test_counts_are_those_of_the_engine(page: Page, cell: int) -> None:
    """From the bits of the whole, and from what the server sends of a window."""
    kept = np.random.default_rng(0).random((37, 75)) < 0.4
    window = Window(kept.shape, 0, 0, *kept.shape, cell)
    sent = [base64.b64encode(packed(kept, w)).decode() for w in (Window(kept.shape, 0, 0, 37, 75), window)]
    script = """(bits, sent, part) => {
      const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
      const { countsOf, received } = NeuroAL.cells;
      return [[...countsOf(bytes(bits), 10, part)], [...received(bytes(sent).buffer, part)]];
    }"""
    part = {"top": 0, "left": 0, "rows": 37, "columns": 75, "cell": cell}
    expected = counts(kept, cell).flatten().tolist()
    assert in_browser(page, script, *sent, part) == [expected, expected]


def test_a_dot_at_the_edge_stands_for_fewer_weights(page: Page) -> None:
    script = "(i, j) => NeuroAL.cells.weightsOf({ rows: 10, columns: 7, cell: 4 }, i, j)"
    assert [in_browser(page, script, i, j) for i, j in ((0, 0), (2, 0), (0, 1), (2, 1))] == [16, 8, 12, 6]


def test_the_canvas_alone_draws_whole_pixels_and_tells_what_is_pointed_at(page: Page) -> None:
    """2 × 3 weights on 300 × 200 pixels: squares of 48, in the middle; the pixels have the two colours and no other."""
    page.set_content("<div id=here style='width: 300px'></div><style>.na-mask { width: 300px; height: 200px }</style>")
    script = """async () => {
      const told = [], frame = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
      const canvas = new NeuroAL.MatrixCanvas(document.getElementById("here"), {
        rows: 2, columns: 3, bits: new Uint8Array([0b10100000, 0b01000000]),
        palette: { kept: "#000000", pruned: "#ffffff", mark: "#ff0000" }, onHover: (place) => told.push(place),
      });
      await frame(); await frame();
      const { width, height } = canvas.canvas, context = canvas.canvas.getContext("2d");
      const middle = (size, count, i) => size / 2 + 48 * (i - count / 2) + 24;
      const at = (row, column) => context.getImageData(middle(width, 3, column), middle(height, 2, row), 1, 1).data[0];
      const seen = [[at(0, 0), at(0, 1), at(0, 2)], [at(1, 0), at(1, 1), at(1, 2)]];
      canvas.aim({ row: 1, column: 1 });
      const words = canvas.readout.textContent, label = canvas.size.textContent;
      canvas.gestures.keydown({ key: "ArrowUp", preventDefault() {} });
      canvas.destroy();
      return { seen, words, label, told };
    }"""
    found = page.evaluate(script)
    assert found["seen"] == [[0, 255, 0], [255, 0, 255]]
    assert found["words"] == "Row 1, column 1: kept" and found["label"] == "Each square is one weight."
    assert [(t["row"], t["column"], t["kept"], t["weights"]) for t in found["told"]] == [(1, 1, 1, 1), (0, 1, 0, 1)]


def test_the_canvas_asks_for_what_is_seen_and_shows_cells_of_one_size(page: Page) -> None:
    """A mask too large to be had whole is asked for by the window, in the cells that fit; a failure is said."""
    page.set_content("<div id=here style='width: 300px'></div><style>.na-mask { width: 300px; height: 200px }</style>")
    script = """async () => {
      const frame = () => new Promise((done) => requestAnimationFrame(done));
      const settled = async () => { for (let i = 0; i < 3; i++) await frame(); };
      const asked = [], here = document.getElementById("here"), shape = { rows: 1200, columns: 1500 };
      const later = async (count) => { while (asked.length < count) await frame(); await settled(); };
      let fails = false;
      const load = async (part) => {
        asked.push(part);
        if (fails) throw new Error("The server is away.");
        const { down, across } = NeuroAL.cells.dotsOf(part);
        return new Uint8Array(down * across).fill(part.cell ** 2);
      };
      const canvas = new NeuroAL.MatrixCanvas(here, { ...shape, load });
      await later(1);
      canvas.aim({ row: 600, column: 700 });
      const words = canvas.readout.textContent;
      canvas.view.zoomTo(canvas.view.levels.length - 1, 150, 100);
      fails = true;
      await later(2); await settled();
      const said = canvas.readout.textContent;
      canvas.show({ rows: 8, columns: 8, cells: { size: 4, counts: [16, 0, 8, 4] } });
      await settled();
      canvas.aim({ row: 7, column: 1 });
      return { asked, words, said, cells: canvas.readout.textContent, size: canvas.size.textContent };
    }"""
    found = page.evaluate(script)
    assert found["asked"][0] == {"top": 0, "left": 0, "rows": 1200, "columns": 1500, "cell": 6}
    assert found["words"] == "Rows 600 to 605, columns 696 to 701: 36 of 36 kept"
    assert found["asked"][1]["cell"] == 1 and found["asked"][1]["rows"] < 10
    assert found["said"] == "This part could not be had: The server is away."
    assert found["cells"] == "Rows 4 to 7, columns 0 to 3: 8 of 16 kept"
    assert found["size"].startswith("Each dot is 4 × 4 weights")


# --- figures --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def matrix() -> dict[str, Any]:
    """4 rows of 8 weights, as the route tells of them."""
    zeros = np.array([3, 4, 4, 6])
    dense, pruned = np.arange(1.0, 9), np.array([1.0, 2, 3, 4, 5, 6, 7, 0])
    seen = Seen(
        2, "up", "layers.2.up", 4, 8, False, 0, 0.01, "layers.2.down", dense, pruned, np.array([0.4, 0.2, 0.2, 0.1])
    )
    return figures(Figures(seen, zeros, histogram(zeros, 8), most_damaged(dense, pruned)))


def test_pointing_at_a_bar_marks_its_rows_and_the_other_way_round(page: Page, matrix: dict[str, Any]) -> None:
    rows = [in_browser(page, "NeuroAL.matrixFigures.rowsOfBar", matrix, bar) for bar in range(4)]
    assert rows == [[0], [1, 2], [], [3]]
    assert [in_browser(page, "NeuroAL.matrixFigures.barOfRow", matrix, row) for row in range(4)] == [0, 1, 1, 3]
    [bars] = in_browser(page, "NeuroAL.matrixFigures.rowHistogram", matrix, LIGHT)["data"]
    assert bars["y"] == [1, 2, 0, 1] and bars["x"] == pytest.approx([3 / 8, 4 / 8, 5 / 8, 6 / 8], abs=1e-5)
    marks = in_browser(page, "NeuroAL.matrixFigures.barMarks", matrix, LIGHT, [1, 2, 3])
    assert [(m["x0"], m["x1"], m["y1"]) for m in marks] == [(0.4375, 0.5625, 2), (0.6875, 0.8125, 1)]


def test_inputs_are_sorted_by_their_dense_norm_or_not(page: Page, matrix: dict[str, Any]) -> None:
    script = """(matrix, palette, sorted, marked) => {
      const { normMarks, norms, orderOf } = NeuroAL.matrixFigures, order = orderOf(matrix, sorted);
      return [norms(matrix, palette, order).data, normMarks(matrix, palette, order, marked)];
    }"""
    (pruned, dense), (line, dead) = in_browser(page, script, matrix, LIGHT, True, [6, 7])
    assert [data[0] for data in dense["customdata"]] == [7, 6, 5, 4, 3, 2, 1, 0]
    assert dense["y"] == pytest.approx([n / 36 for n in range(8, 0, -1)], abs=1e-5)
    assert pruned["y"][0] is None, "a logarithm has no zero"
    assert pruned["y"][1] == pytest.approx(7 / 28)
    assert (line["x0"], line["x1"], dead["x0"]) == (1, 1, 0)
    assert in_browser(page, script, matrix, LIGHT, False, [6])[1][0]["x0"] == 6


def test_drivers_are_drawn_against_sparsity(page: Page, matrix: dict[str, Any]) -> None:
    [dots] = in_browser(page, "NeuroAL.matrixFigures.drivers", matrix, LIGHT)["data"]
    assert dots["x"] == [0.4, 0.2, 0.2, 0.1] and dots["y"] == [3 / 8, 0.5, 0.5, 0.75]
    [ring] = in_browser(page, "NeuroAL.matrixFigures.driverMarks", matrix, LIGHT, [3])
    assert (ring["xanchor"], ring["yanchor"]) == (0.1, 0.75)
    for nothing in (None, [0, 0, 0, 0]):
        assert in_browser(page, "NeuroAL.matrixFigures.drivers", {**matrix, "driver": nothing}, LIGHT) is None


def test_what_is_said_of_it(page: Page, matrix: dict[str, Any]) -> None:
    words = "NeuroAL.matrixWords"
    linears = [[0, "up", 4, 8, 0.02], [2, "up", 4, 8, 0.01], [2, "expert", 4, 8, None]]
    assert in_browser(page, f"{words}.summaryOf", matrix, linears) == (
        "4 rows (outputs) × 8 columns (inputs), 46.9\u00a0% of the weights kept. "
        "Its alignment term is 1.00e-2, number 2 from the top of 2."
    )
    assert (
        in_browser(page, f"{words}.histogramWords", matrix)
        == "The 4 rows have lost 37.5\u00a0% to 75.0\u00a0% of their weights."
    )
    table = in_browser(page, f"{words}.damageTable", matrix)["rows"]
    assert table[0] == ["7", "22.2", "0", "−22.2", "84.8"] and len(table) == 8
    assert "shrink by 22.2\u00a0%" in in_browser(page, f"{words}.normWords", matrix)
    assert in_browser(page, f"{words}.driverWords", matrix).endswith("Correlation of driver and sparsity: −0.89.")
    flat = {**matrix, "zeros": [4, 4, 4, 4]}
    assert "All rows are equally sparse" in in_browser(page, f"{words}.driverWords", flat)
    same = {**matrix, "driver": [0, 0, 0, 0]}
    assert "So nothing drives them" in in_browser(page, f"{words}.driverWords", same)
    undriven = {**matrix, "driver": None, "undriven": "Nothing reads it."}
    assert in_browser(page, f"{words}.driverWords", undriven) == "Nothing reads it."
    told = [in_browser(page, f"{words}.points", share) for share in (0.0651, 0.000651, 0.00000651, 0)]
    assert told == ["6.51", "0.0651", "0.000651", "0"]
