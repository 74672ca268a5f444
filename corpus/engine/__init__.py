"""Where tasks run: in this process, in a pool of processes, or on Ray.

`choice` says what an engine is; `local` and `ray_cluster` are the two; `results` is how what their
tasks return or raise comes home. Only `ray_cluster` knows Ray.
"""

from corpus.engine.choice import Engine, make_engine
from corpus.engine.local import LocalEngine
from corpus.engine.ray_cluster import Hosted, RayEngine

__all__ = ["Engine", "Hosted", "LocalEngine", "RayEngine", "make_engine"]
