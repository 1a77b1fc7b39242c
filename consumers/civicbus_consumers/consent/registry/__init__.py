"""The consent registry: what was asked, given, refused, changed and ended, and by whom."""
