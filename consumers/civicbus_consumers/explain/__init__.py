"""Why somebody may have a field, or may not, and what would be needed instead."""
