"""The whole stack on one machine, on loopback, without Docker: servers, supervisor, state folder.

It knows how to start, watch and end processes; what they mean is the other members' business.
"""
