"""Files that somebody made before there was Cablecar, put below a test's root, and what is asked of their import."""

from collections.abc import Callable
from pathlib import Path

SERVER = "203.0.113.7"
# All that an import may ever set.
ALLOWED = {
    "protocol", "server", "user", "title", "authentication", "encryption", "interface", "autoconnect", "reconnect",
    "route", "dns", "mtu", "ipv6", "debug", "tunnel_secret",
}  # fmt: skip
PLAIN = {"protocol": "pptp", "server": SERVER, "user": "u", "route": "none", "dns": "none"}
Put = Callable[[str, str | bytes], Path]

HOWTO_PEER = f"""\
# Yosefcom Internet Services connection options

linkname yosefcom

user yosef@C012
                # you authenticate to the server as this user; this should be
                # the same name as in the pap-secrets file entry (i.e. if
                # you added the ISP code there, add it here also)

pty "/usr/sbin/pptp {SERVER} --nolaunchpppd"

nobsdcomp       # 'BSD-compress' will not be used, so let's disable it
nodeflate       # 'Deflate' will not be used, so let's disable it

hide-password   # does not show the password when logging

noauth          # does not require the remote server to authenticate itself
persist         # if link is broken, try to reestablish it rather
                # than exit immediately

usepeerdns      # eventually, cause a modification of /etc/resolv.conf to use 2
                # DNS server whose addresses are provided by the peer.
                # This may or may not be what you want to do, so be careful.

defaultroute
replacedefaultroute
                # Use this PPP connection as the default route,
                # i.e. by default, outgoing packets will be routed through it;
                # also, restore the previous default route when the PPP
                # connection comes down

#debug          # enable this for more verbose logging by pppd
#kdebug 4       # enable this for _yet_more_ verbose logging by pppd
"""
HOWTO_SECRETS = f'yosef@C012  {SERVER}  "Pass word#1"\n'
HOWTO_EXTENDER = """\
#!/bin/sh
# run peer-specific (or, rather, linkname-specific) scripts

if [ -n "$LINKNAME" ] ; then
        run-parts /etc/ppp/ip-up.d/$LINKNAME
fi

exit 0
"""
HOWTO_INTERFACES = f"""\
auto lo eth0 ppp0
iface lo inet loopback
iface eth0 inet dhcp
        up ip route replace {SERVER} dev eth0
        up ip route replace 192.0.2.1 dev eth0
iface ppp0 inet ppp
    provider yosefcom
"""
PPTP_PROFILE = """\
[connection]
id=Office (old)
uuid=6a2e1c0e-5d2b-4f3a-9b6e-0d3c1f6f2a11
type=vpn
autoconnect=false
permissions=user:alice:;

[vpn]
gateway=vpn.isp.example
password-flags=0
refuse-chap=yes
refuse-eap=yes
refuse-mschap=yes
refuse-pap=yes
require-mppe-128=yes
mppe-stateful=yes
user=yosef
domain=ISP
service-type=org.freedesktop.NetworkManager.pptp

[vpn-secrets]
password=a\\\\b\\sc=d;#

[ipv4]
dns=198.51.100.1;198.51.100.2;
method=auto
never-default=true
route1=10.0.0.0/8,10.0.0.1,100
route2=192.168.7.0/24

[ipv6]
method=auto
"""


def peer(put: Put, content: str | bytes, name: str = "p") -> None:
    put(f"etc/ppp/peers/{name}", content)


def plain(options: str = "") -> str:
    return f'pty "pptp {SERVER} --nolaunchpppd"\nuser u\n{options}\n'


def profile(put: Put, content: str | bytes, name: str = "p") -> None:
    put(f"etc/NetworkManager/system-connections/{name}.nmconnection", content)


def mentions(sentences: tuple[str, ...], *texts: str) -> bool:
    return any(all(text in sentence for text in texts) for sentence in sentences)


def howto(put: Put) -> None:
    peer(put, HOWTO_PEER, "yosefcom")
    put("etc/ppp/pap-secrets", HOWTO_SECRETS)
