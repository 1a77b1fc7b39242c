"""`python -m civicbus_consumers.population --settings FILE`."""

import sys

from civicbus_consumers.population.app import main

sys.exit(main())
