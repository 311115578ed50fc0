"""The colours of nodes: twelve that everybody can tell apart, then patterns; the same in stills and in the live view."""

from __future__ import annotations

import re
from itertools import combinations, pairwise
from math import atan2, cos, degrees, exp, hypot, radians, sin, sqrt

import pytest

from pocketflex_nb import Flow, Node, launch
from pocketflex_nb.core.flow.flow_graph import graph_of
from pocketflex_nb.notebook.widgets.base.js_bundle import WIDGETS
from pocketflex_nb.notebook.widgets.run_view.run_view import RunView
from pocketflex_nb.views.diagrams.export import export
from pocketflex_nb.views.diagrams.node_colours import COLOURS, PATTERNS, colour_numbers, pattern_path
from pocketflex_nb.views.diagrams.timeline import timeline

Rgb = tuple[float, float, float]
#: behind the bars of the live view, and of stills
BACKGROUNDS = {"light": ("#ffffff", "#f6f8fa"), "dark": ("#171a20", "#1f242c")}
#: what people see who lack cones, in linear light (Machado, Oliveira, Fernandes, 2009, severity 1)
SIGHTS: dict[str, tuple[Rgb, Rgb, Rgb]] = {
    "all cones": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
}


def linear(colour: str) -> Rgb:
    red, green, blue = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    return tuple(c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue))  # type: ignore[return-value]


def seen(colour: str, sight: str) -> Rgb:
    """CIELAB of a colour as people of that sight see it."""
    light = linear(colour)
    r, g, b = (min(max(sum(m * c for m, c in zip(row, light, strict=True)), 0), 1) for row in SIGHTS[sight])
    xyz = (0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047, 0.2126729 * r + 0.7151522 * g + 0.0721750 * b, \
        (0.0193339 * r + 0.1191920 * g + 0.9503041 * b) / 1.08883
    x, y, z = (v ** (1 / 3) if v > 216 / 24389 else (24389 / 27 * v + 16) / 116 for v in xyz)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def distance(one: Rgb, other: Rgb) -> float:
    """CIEDE2000 (Sharma, Wu, Dalal, 2005)."""
    (l1, a1, b1), (l2, a2, b2) = one, other
    mean = (hypot(a1, b1) + hypot(a2, b2)) / 2
    stretch = 1 + 0.5 * (1 - sqrt(mean**7 / (mean**7 + 25**7)))
    a1, a2 = a1 * stretch, a2 * stretch
    c1, c2 = hypot(a1, b1), hypot(a2, b2)
    h1, h2 = degrees(atan2(b1, a1)) % 360, degrees(atan2(b2, a2)) % 360
    turn = (h2 - h1 + 180) % 360 - 180
    hue = (h1 + turn / 2) % 360
    light, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    t = 1 - 0.17 * cos(radians(hue - 30)) + 0.24 * cos(radians(2 * hue))
    t += 0.32 * cos(radians(3 * hue + 6)) - 0.2 * cos(radians(4 * hue - 63))
    dl = (l2 - l1) / (1 + 0.015 * (light - 50) ** 2 / sqrt(20 + (light - 50) ** 2))
    dc = (c2 - c1) / (1 + 0.045 * chroma)
    dh = 2 * sqrt(c1 * c2) * sin(radians(turn) / 2) / (1 + 0.015 * chroma * t)
    twist = -2 * sqrt(chroma**7 / (chroma**7 + 25**7)) * sin(radians(60 * exp(-(((hue - 275) / 25) ** 2))))
    return sqrt(dl**2 + dc**2 + dh**2 + twist * dc * dh)


def contrast(one: str, other: str) -> float:
    light, dark = sorted((0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in map(linear, (one, other))), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_distance_is_that_of_its_published_examples() -> None:
    assert round(distance((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485)), 3) == 2.042
    assert round(distance((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514)), 3) == 0.908


@pytest.mark.parametrize("theme", COLOURS)
@pytest.mark.parametrize("sight", SIGHTS)
def test_any_two_of_the_twelve_differ_for_everybody(theme: str, sight: str) -> None:
    assert len(set(COLOURS[theme])) == 12
    nearest = min((distance(seen(a, sight), seen(b, sight)), a, b) for a, b in combinations(COLOURS[theme], 2))

    assert nearest[0] >= 12, nearest


@pytest.mark.parametrize("theme", COLOURS)
def test_each_stands_off_its_background(theme: str) -> None:
    assert min(contrast(colour, behind) for colour in COLOURS[theme] for behind in BACKGROUNDS[theme]) >= 3


def test_the_live_view_has_the_same_colours() -> None:
    css = (WIDGETS / "run_view" / "run_view.css").read_text(encoding="utf-8")

    told = re.findall(r"--pv-b(\d+): (#[0-9a-f]{6});", css)
    assert [colour for _, colour in told] == [*COLOURS["light"], *COLOURS["dark"]]
    assert [int(number) for number, _ in told] == [*range(12), *range(12)]
    for number in range(12):
        assert f".pf-bar-{number} {{ fill: var(--pv-b{number}); }}" in css
        assert f".pf-swatch-{number} {{ background-color: var(--pv-b{number}); }}" in css


def chain(number: int, name: str = "chain") -> Flow:
    nodes = [Node(name=f"n{k}") for k in range(number)]
    for one, other in pairwise(nodes):
        one >> other
    return Flow(nodes[0], name=name)


def test_a_node_has_the_same_colour_in_the_view_and_in_every_still() -> None:
    run = launch(chain(30), show=False).wait(30)
    view = RunView(run)
    numbers = colour_numbers([run.graph])

    assert view.colours == numbers == {f"n{k}": k for k in range(30)}
    for still in (run.to_timeline(), export(run, "timeline"), timeline({run.name: run.state()}, colours=numbers)):
        drawn = dict(re.findall(r'data-node="(n\d+)".*?class="pf-h(\d+)"', still))
        assert drawn == {f"n{k}": str(k % 12) for k in range(30)}
    view.close()


def test_colours_do_not_depend_on_which_node_came_first() -> None:
    flow = chain(3)
    states = launch([flow, flow], show=False).wait(30)

    assert [RunView(run).colours for run in states] == [{"n0": 0, "n1": 1, "n2": 2}] * 2
    assert colour_numbers([graph_of(flow), graph_of(chain(5, "other"))])["n4"] == 4


def test_from_the_thirteenth_node_on_bars_have_patterns_that_differ() -> None:
    paths = [pattern_path(number, 0, 0, 40, 16) for number in range(48)]

    assert [bool(path) for path in paths] == [False] * 12 + [True] * 36
    assert len(set(paths[::12])) == len(PATTERNS) == 4
    assert pattern_path(48, 0, 0, 40, 16) == ""
    assert pattern_path(25, 0, 0, 1e9, 16).count("v") < 300


def test_in_a_still_colour_is_not_the_only_sign() -> None:
    class Fails(Node):
        def exec(self, prep_res: object) -> None:
            raise ValueError

    fine, bad = Node(name="fine"), Fails(name="bad")
    fine >> bad
    run = launch(Flow(fine), show=False).wait(20)
    drawn = run.to_timeline()

    assert drawn.count('class="pf-bad" d="M') == 1
    assert "/bad#1: " in drawn
    assert ", failed</title>" in drawn
