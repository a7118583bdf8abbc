"""`python -m cablecar.applet`."""

import sys

from cablecar.applet.app import main

sys.exit(main())
