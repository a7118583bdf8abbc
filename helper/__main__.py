"""`python3 -I -m cablecar.helper`: what the systemd unit runs."""

from cablecar.helper.main import main

raise SystemExit(main())
