"""The LACs of xl2tpd become a link's settings."""

from madebyhand import Put, mentions

from cablecar.helper.imports import Foreign

XL2TPD = """[global]
port = 1701
[lac default]
lns = nobody.example
[lac isp] ; the line at home
lns = lns.isp.example
name = other
pppoptfile = /etc/ppp/options.l2tp
redial = yes
[lac elsewhere]
lns = lns.isp.example:1702
name = u
challenge = yes
pppoptfile = /etc/passwd
[lac half]
name = u
[lns default]
lns = x
"""


def test_the_lacs_of_xl2tpd_become_links(foreign: Foreign, put: Put) -> None:
    put("etc/xl2tpd/xl2tpd.conf", XL2TPD)
    put("etc/passwd", "user evil\n")
    put("etc/ppp/options.l2tp", "user u@isp\ndefaultroute\nusepeerdns\nrefuse-chap\nmtu 1410\n")
    put("etc/ppp/pap-secrets", '"u@isp" * "geheim"\n')
    assert foreign.list() == ["l2tp:isp", "l2tp:elsewhere"]
    found = foreign.read("l2tp:isp")
    assert found.settings == {
        "protocol": "l2tp", "server": "lns.isp.example", "user": "u@isp", "route": "all", "dns": "peer", "mtu": 1410,
        "authentication": ["pap"],
    }  # fmt: skip
    assert (found.name, found.password, found.left_out) == ("isp", "geheim", ())
    assert mentions(found.dials_too, "xl2tpd has the LAC `elsewhere`")
    found = foreign.read("l2tp:elsewhere")
    assert (found.settings["user"], found.password) == ("u", None)
    assert mentions(found.left_out, "the secret of the tunnel itself")
