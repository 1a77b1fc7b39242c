"""The bus's own processes: which there are, their ports, their settings files."""

from __future__ import annotations

ROOMS = {
    "enforce-0": "enforcement",
    "enforce-1": "enforcement",
    "consent-0": "consent",
    "consent-1": "consent",
    "sealing": "sealing",
    "population": "population",
    "lookup": "lookup",
}
PORTS = ("lookup", *(f"{name}_health" for name in ROOMS))
