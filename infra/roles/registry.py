"""Which module runs which role: the one place where that is chosen by name.

A role's module is imported when the role is asked for, so that a process loads its own role's libraries only.
"""

from importlib import import_module

from infra.roles.definition import RoleDefinition

MODULES = {
    "ingest": "infra.roles.ingest",
    "coders": "infra.roles.coders",
    "moderator": "infra.roles.moderator",
    "refiner": "infra.roles.refiner",
    "router": "infra.roles.router",
    "trainer": "infra.roles.trainer",
    "recorder": "infra.roles.recorder",
    "monitor": "infra.roles.monitor",
    "web": "infra.roles.web",
}
"""By a role's name in the topology; each module has its definition as ``ROLE``."""


def find_role(name: str) -> RoleDefinition:
    """A role's definition; raises ``KeyError`` for a name that is not in the topology."""
    definition: RoleDefinition = import_module(MODULES[name]).ROLE
    return definition
