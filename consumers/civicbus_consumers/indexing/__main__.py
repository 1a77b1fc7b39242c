"""`python -m civicbus_consumers.indexing --settings FILE`."""

import sys

from civicbus_consumers.indexing.app import main

sys.exit(main())
