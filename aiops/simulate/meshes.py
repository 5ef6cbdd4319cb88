"""The meshes by name: a name and a generator in, a mesh out; the shop is the same for every seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from aiops.simulate.chain import deep_chain
from aiops.simulate.mesh import Mesh
from aiops.simulate.shop import web_shop
from aiops.simulate.wide import wide_fan_out

MESHES: dict[str, Callable[[np.random.Generator], Mesh]] = {
    "shop": lambda _: web_shop(),
    "chain": deep_chain,
    "wide": wide_fan_out,
}


def mesh_named(name: str, rng: np.random.Generator) -> Mesh:
    """The mesh of a name, varied by a generator; an error names those there are."""
    if name not in MESHES:
        raise ValueError(f"no mesh {name!r}: there are {', '.join(MESHES)}")
    return MESHES[name](rng)
