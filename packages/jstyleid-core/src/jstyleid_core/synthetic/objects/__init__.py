"""The kinds of objects: a function each, which draws one of many variations from a generator."""

from collections.abc import Callable, Mapping

from numpy.random import Generator

from jstyleid_core.synthetic.objects import (
    animals,
    buildings,
    food,
    nature,
    things,
    vehicles,
)
from jstyleid_core.synthetic.shapes import Drawing

KINDS: Mapping[str, Callable[[Generator], Drawing]] = {
    draw.__name__: draw
    for draw in (
        animals.butterfly, animals.cat, animals.duck, animals.fish, animals.rabbit,
        buildings.castle, buildings.house, buildings.lighthouse,
        food.apple, food.banana, food.carrot, food.cherry,
        nature.cloud, nature.flower, nature.leaf, nature.moon, nature.mountain, nature.star,
        nature.sun, nature.tree,
        things.bottle, things.chair, things.clock, things.cup, things.glasses, things.hat,
        things.key, things.lamp, things.vase,
        vehicles.bicycle, vehicles.boat, vehicles.car, vehicles.rocket, vehicles.umbrella,
    )
}
"""By the word a prompt names them with."""
