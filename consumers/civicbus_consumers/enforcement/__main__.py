"""`python -m civicbus_consumers.enforcement --settings FILE`."""

import sys

from civicbus_consumers.enforcement.app import main

sys.exit(main())
