from __future__ import annotations

import pytest

from console.pages.graphs import BOX_HEIGHT, BOX_WIDTH, layout


def test_it_puts_a_chain_into_successive_layers() -> None:
    drawing = layout(["a", "b", "c"], [("a", "b"), ("b", "c")])

    assert [drawing.places[key].layer for key in "abc"] == [0, 1, 2]
    assert drawing.places["a"].x < drawing.places["b"].x < drawing.places["c"].x
    assert len(drawing.paths) == 2


def test_it_uses_the_longest_path_so_that_every_edge_points_right() -> None:
    drawing = layout(["a", "b", "c"], [("a", "c"), ("a", "b"), ("b", "c")])

    assert drawing.places["c"].layer == 2


def test_it_never_lets_boxes_overlap() -> None:
    edges = [("s", f"m{i}") for i in range(7)] + [(f"m{i}", "t") for i in range(7)]
    drawing = layout(["s", *(f"m{i}" for i in range(7)), "t"], edges)

    places = list(drawing.places.values())
    for one in places:
        assert 0 <= one.x <= drawing.width - BOX_WIDTH and 0 <= one.y <= drawing.height - BOX_HEIGHT
        for other in places:
            if one is not other and one.layer == other.layer:
                assert abs(one.y - other.y) >= BOX_HEIGHT


def test_it_orders_a_layer_by_its_neighbours_to_avoid_crossings() -> None:
    drawing = layout(["a", "b", "y", "x"], [("a", "x"), ("b", "y")])

    assert drawing.places["x"].y < drawing.places["y"].y


@pytest.mark.parametrize("edges", [[("a", "b"), ("b", "a")], [("a", "a")], [("a", "b"), ("b", "c"), ("c", "a")]])
def test_it_draws_cycles_too(edges: list[tuple[str, str]]) -> None:
    drawing = layout(["a", "b", "c"], edges)

    assert set(drawing.places) == {"a", "b", "c"}
    assert len(drawing.paths) == len([edge for edge in edges if edge[0] != edge[1]])


def test_it_leaves_out_edges_to_unknown_nodes() -> None:
    assert layout(["a"], [("a", "ghost"), ("ghost", "a")]).paths == []


def test_it_draws_nothing_as_nothing() -> None:
    assert layout([], []).places == {}


def test_it_lays_out_a_long_chain_without_recursion() -> None:
    nodes = [str(i) for i in range(5000)]

    drawing = layout(nodes, list(zip(nodes, nodes[1:], strict=False)))

    assert drawing.places["4999"].layer == 4999
