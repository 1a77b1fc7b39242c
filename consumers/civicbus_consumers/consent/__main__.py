"""`python -m civicbus_consumers.consent --settings FILE`."""

import sys

from civicbus_consumers.consent.app import main

sys.exit(main())
