"""The contracts and what they depend on, drawn in layers from left to right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

ROW, GAP, HEIGHT = 44, 72, 34
"""Pixels: from one node to the next, between layers, height of a node."""
_Needs = Mapping[str, list[str]]


@dataclass(frozen=True)
class Node:
    """A contract in the drawing; ``x`` and ``y`` are its upper left corner."""

    name: str
    x: float
    y: float
    width: float
    height: float = HEIGHT

    @property
    def middle(self) -> float:
        """Where arrows meet the node."""
        return self.y + self.height / 2


@dataclass(frozen=True)
class Drawing:
    """The nodes, the paths of the arrows with the two names each joins, and the size in pixels."""

    nodes: tuple[Node, ...]
    arrows: tuple[tuple[str, str, str], ...]
    width: float
    height: float


def draw(depends_on: Mapping[str, Iterable[str]]) -> Drawing | None:
    """Lay out the contracts that depend on one, or on which one depends; None where none do.

    A contract stands to the right of all that it depends on. As in Sugiyama's method an arrow that
    passes a layer holds a place there, so that it crosses no node, and a layer is ordered by the
    middle of its neighbours to the left. Contracts on a cycle, which no run can have, are left out.
    """
    needs = {name: sorted(set(others)) for name, others in depends_on.items()}
    layers = _layers(needs)
    if not layers:
        return None
    chains, near = _chains(layers, needs)
    tallest = max(map(len, layers))
    placed: dict[str, Node] = {}
    x = 0.0
    for names in layers:
        width = max(_width(name) for name in names)
        shift = (tallest - len(names)) * ROW / 2
        for row, name in enumerate(_ordered(names, near, placed)):
            placed[name] = Node(name, x, row * ROW + shift, width)
        x += width + GAP
    arrows = tuple(
        (start, end, _path([placed[name] for name in chain]))
        for (start, end), chain in chains.items()
    )
    contracts = tuple(node for node in placed.values() if "\0" not in node.name)
    return Drawing(contracts, arrows, x - GAP, (tallest - 1) * ROW + HEIGHT)


def _layers(needs: _Needs) -> list[list[str]]:
    joined = {name for name, others in needs.items() if others}
    waiting = sorted(joined.union(*needs.values())) if joined else []
    done: set[str] = set()
    layers = []
    while waiting:
        ready = [name for name in waiting if done.issuperset(needs.get(name, ()))]
        if not ready:
            break
        layers.append(ready)
        done.update(ready)
        waiting = [name for name in waiting if name not in done]
    return layers


def _chains(
    layers: list[list[str]], needs: _Needs
) -> tuple[dict[tuple[str, str], list[str]], dict[str, list[str]]]:
    """Return what each arrow passes, place holders added to the layers, and left neighbours."""
    layer_of = {name: number for number, names in enumerate(layers) for name in names}
    chains: dict[tuple[str, str], list[str]] = {}
    near: dict[str, list[str]] = {}
    for end in list(layer_of):
        for start in needs.get(end, ()):
            chain = [start]
            for number in range(layer_of[start] + 1, layer_of[end]):
                chain.append(f"{start}\0{end}\0{number}")
                layers[number].append(chain[-1])
            chain.append(end)
            chains[start, end] = chain
            for left, right in pairwise(chain):
                near.setdefault(right, []).append(left)
    return chains, near


def _ordered(names: list[str], near: _Needs, placed: Mapping[str, Node]) -> list[str]:
    def middle(name: str) -> tuple[float, str]:
        rows = [placed[left].y for left in near.get(name, ())]
        return (sum(rows) / len(rows) if rows else 0.0, name)

    return sorted(names, key=middle)


def _path(nodes: list[Node]) -> str:
    """Return the curve from the first node through the place holders to the last."""
    x, y = nodes[0].x + nodes[0].width, nodes[0].middle
    path = f"M{x:g},{y:g}"
    for node in nodes[1:]:
        last = node is nodes[-1]
        end = node.x - (7 if last else 0)
        bend = (end - x) / 2
        path += f" C{x + bend:g},{y:g} {end - bend:g},{node.middle:g} {end:g},{node.middle:g}"
        x, y = node.x + node.width, node.middle
        path += "" if last else f" H{x:g}"
    return path


def _width(name: str) -> float:
    return 0.0 if "\0" in name else 7.4 * len(name) + 26
