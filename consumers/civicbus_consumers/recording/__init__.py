"""Making records, chaining them into pages, and waiting until a page is durable."""
