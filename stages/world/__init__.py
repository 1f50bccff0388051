"""The drawn world: a street as a video source of which everything is known."""

from .render import Rendered, WorldRenderer
from .settings import STUFF, THINGS, WorldSettings, parse_world
from .source import WorldSource, world_sources

__all__ = [
    "STUFF", "THINGS", "Rendered", "WorldRenderer", "WorldSettings", "WorldSource", "parse_world", "world_sources",
]  # fmt: skip
