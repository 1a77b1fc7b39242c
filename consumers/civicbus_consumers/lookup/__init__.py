"""The agencies' service for look-ups: one decision, one record, one answer."""
