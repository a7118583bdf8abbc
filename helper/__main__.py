"""`python3 -I -m cablecar.helper`: what the systemd unit runs."""

from cablecar.helper import lean

# asyncio and hashlib are made for systems without OpenSSL too; the helper speaks no TLS.
lean.do_without("ssl", "_hashlib")
lean.load("dbus_next", "aio")
lean.load("pyroute2", "netlink.rtnl.fibmsg", "netlink.rtnl.ifaddrmsg", "netlink.rtnl.rtmsg")

from cablecar.helper.main import main

raise SystemExit(main())
