"""The core of the product: plan, decide, project. Pure; imports no I/O."""
