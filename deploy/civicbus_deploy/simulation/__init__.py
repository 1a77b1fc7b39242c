"""A synthetic population and its life events. No person in it exists; everything is drawn by seed.

Numbers of papers and visits begin with `SYN-`, so that nobody takes them for real ones.
"""

from civicbus_deploy.simulation.lives import Emission, generate

NOTICE = "Synthetic data: every person, number and paper was drawn by a seed; none of it is real."

__all__ = ["NOTICE", "Emission", "generate"]
