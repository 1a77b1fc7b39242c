"""The population view: what the population agency was given, folded into one row per person."""
