"""Which module runs which role: the one place where that is chosen by name.

A role's module is imported when the role is asked for, so that a process loads its own role's libraries only.
"""

from importlib import import_module

from infra.roles.definition import RoleDefinition

MODULES = {
    "ingest": f"{__package__}.ingest",
    "coders": f"{__package__}.coders",
    "moderator": f"{__package__}.moderator",
    "refiner": f"{__package__}.refiner",
    "router": f"{__package__}.router",
    "trainer": f"{__package__}.trainer",
    "recorder": f"{__package__}.recorder",
    "monitor": f"{__package__}.monitor",
    "web": f"{__package__}.web",
}
"""By a role's name in the topology; each module has its definition as ``ROLE``."""


def find_role(name: str) -> RoleDefinition:
    """A role's definition; raises ``KeyError`` for a name that is not in the topology."""
    definition: RoleDefinition = import_module(MODULES[name]).ROLE
    return definition
