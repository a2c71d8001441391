from __future__ import annotations

from collections.abc import Iterator, Mapping


def find_cycle(edges: Mapping[str, set[str]]) -> list[str]:
    """A path that comes back to its first node, named at both ends; empty when there is none."""
    done: set[str] = set()
    for start in sorted(edges):
        if start in done:
            continue
        path = [start]
        on_path = {start}
        walks: list[Iterator[str]] = [iter(sorted(edges[start]))]
        while walks:
            following = next(walks[-1], None)
            if following is None:
                walks.pop()
                finished = path.pop()
                on_path.discard(finished)
                done.add(finished)
            elif following in on_path:
                return [*path[path.index(following) :], following]
            elif following not in done:
                path.append(following)
                on_path.add(following)
                walks.append(iter(sorted(edges.get(following, ()))))
    return []
