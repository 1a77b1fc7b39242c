"""`python -m civicbus_consumers.unread --settings FILE`."""

from civicbus_consumers.unread.app import main

raise SystemExit(main())
