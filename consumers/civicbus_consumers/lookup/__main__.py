"""`python -m civicbus_consumers.lookup --settings FILE`."""

from civicbus_consumers.lookup.app import main

raise SystemExit(main())
