"""A simulator of the analytics APIs of Avaamo and Kore.ai, over real HTTP.

`World` holds the made-up data and the clock, `Simulator` serves it on the
loopback the way the vendors' pages say, `Assumptions` switches what the pages
leave open, and `Faults` breaks what networks and servers break.
"""

from simulator.assumptions import Assumptions
from simulator.exchange import Call
from simulator.faults import Faults, Rule
from simulator.later import Outage
from simulator.limits import Limits
from simulator.server import Simulator
from simulator.world import App, World

__all__ = [
    "App",
    "Assumptions",
    "Call",
    "Faults",
    "Limits",
    "Outage",
    "Rule",
    "Simulator",
    "World",
]
