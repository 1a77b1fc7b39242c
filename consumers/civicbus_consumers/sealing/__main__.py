"""`python -m civicbus_consumers.sealing --settings FILE`."""

import sys

from civicbus_consumers.sealing.app import main

sys.exit(main())
