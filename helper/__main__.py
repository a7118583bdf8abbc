"""`python3 -I -m cablecar.helper`: what the systemd unit runs."""

import gc

from cablecar.helper import lean

gc.disable()  # nothing that is loaded is garbage: looking for some takes a twenty-fifth of the time

# asyncio and hashlib are made for systems without OpenSSL too; the helper speaks no TLS.
lean.do_without("ssl", "_hashlib")
lean.load("dbus_next", "aio")
lean.load("pyroute2", "netlink.rtnl.fibmsg", "netlink.rtnl.ifaddrmsg", "netlink.rtnl.rtmsg")

from cablecar.helper.main import main

gc.freeze()  # nor will it ever be
gc.enable()

raise SystemExit(main())
