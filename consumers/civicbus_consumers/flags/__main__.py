"""`python -m civicbus_consumers.flags --settings FILE`."""

import sys

from civicbus_consumers.flags.app import main

sys.exit(main())
