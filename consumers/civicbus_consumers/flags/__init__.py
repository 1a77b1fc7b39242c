"""Drawing officers' attention to readings that nothing explains."""
