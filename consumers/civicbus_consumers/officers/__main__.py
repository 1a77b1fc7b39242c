"""`python -m civicbus_consumers.officers --settings FILE`."""

from civicbus_consumers.officers.app import main

raise SystemExit(main())
