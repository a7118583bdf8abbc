"""What the firewall's table says, and that the kernel takes it."""

import shutil
import subprocess
from ipaddress import IPv4Address, IPv4Network

import pytest
from namespaces import unshare

from cablecar.helper import share, strict
from cablecar.helper.l2tp import L2TP
from cablecar.helper.plan import ANYWHERE, Wanted
from cablecar.helper.pptp import PPTP

SERVERS = (IPv4Address("203.0.113.7"), IPv4Address("203.0.113.8"))
UP = Wanted(SERVERS, "", "ppp0", (ANYWHERE,), passages=PPTP.passages, share=("eth1", "br-lan"))
DIALING = Wanted(SERVERS[:1], "eth0", share=("eth1",))
LOCAL = [IPv4Network("192.168.0.0/16"), IPv4Network("192.168.1.0/24")]


def accepted(chains: str, hook: str) -> list[str]:
    """Return what a chain of strict mode lets pass; all else is refused."""
    _, _, chain = chains.partition(f"chain strict_{hook} {{\n")
    first, *rules, last = (line.strip() for line in chain.partition("  }\n")[0].splitlines())
    assert first == f"type filter hook {hook} priority 1000; policy accept;"
    assert last == "reject with icmpx type admin-prohibited"
    assert all(rule.endswith(" accept") for rule in rules)
    return [rule.removesuffix(" accept") for rule in rules]


ALWAYS = [
    "meta nfproto ipv4 udp sport 68 udp dport 67",
    "meta nfproto ipv4 meta skuid 61184-65519 meta l4proto { tcp, udp } th dport 53",
]


def test_while_nothing_is_called_only_dhcp_and_lookups_get_out() -> None:
    chains = strict.chains({}, [])
    assert accepted(chains, "output") == ['oifname { "lo" }', *ALWAYS]
    assert accepted(chains, "forward") == ['oifname { "lo" }']


def test_a_call_gets_out_to_its_servers_alone() -> None:
    assert accepted(strict.chains({"home": Wanted(SERVERS, passages=PPTP.passages)}, []), "output") == [
        'oifname { "lo" }',
        "ip daddr 203.0.113.7 tcp dport 1723",
        "ip daddr 203.0.113.8 tcp dport 1723",
        "ip daddr 203.0.113.7 meta l4proto 47",
        "ip daddr 203.0.113.8 meta l4proto 47",
        *ALWAYS,
    ]
    over_udp = accepted(strict.chains({"home": Wanted(SERVERS[:1], passages=L2TP.passages)}, []), "output")
    assert over_udp == ['oifname { "lo" }', "ip daddr 203.0.113.7 udp dport 1701", *ALWAYS]


def test_tunnels_shared_interfaces_and_chosen_networks_are_open_to_others_too() -> None:
    found = accepted(strict.chains({"home": UP}, LOCAL), "forward")
    assert found == ['oifname { "lo", "br-lan", "eth1", "ppp0" }', "ip daddr { 192.168.0.0/16 }"]


def test_sharing_leads_into_the_tunnel_and_answers_back() -> None:
    chains = share.chains({"home": UP, "office": DIALING}, {"ppp0": 1436}, {"eth1"})
    lines = [line.strip() for line in chains.splitlines() if 'name "' in line or "name {" in line or "!=" in line]
    assert [line for line in lines if "br-lan" not in line] == [
        'iifname "eth1" oifname "ppp0" masquerade',
        'iifname "eth1" oifname "ppp0" tcp flags syn / syn,rst tcp option maxseg size set 1396',
        'iifname "ppp0" oifname "eth1" tcp flags syn / syn,rst tcp option maxseg size set 1396',
        'iifname "eth1" oifname != { "ppp0" } drop',
    ]
    for end in ("ct state established,related accept", "drop"):
        assert f'iifname "ppp0" oifname {{ "br-lan", "eth1" }} {end}' in lines
    assert not [line for line in lines if line.startswith('iifname "br-lan" oifname !=')], "it forwarded before us"


def test_a_tunnel_that_forwards_because_of_us_leads_to_no_other_network_of_the_machine() -> None:
    chains = share.chains({"home": UP}, {}, {"eth1", "ppp0"})
    rules = [line.strip() for line in chains.partition("chain share_forward")[2].splitlines()]
    assert rules[2:4] == ['iifname "ppp0" ct state established,related accept', 'iifname "ppp0" drop']


def test_nothing_is_shared_before_the_link_is_up() -> None:
    assert share.chains({"office": DIALING, "home": Wanted(SERVERS, "", "ppp0")}, {}, set()) == ""


@pytest.mark.parametrize("local", [[], LOCAL], ids=["alone", "local networks"])
def test_the_kernel_takes_the_rules(local: list[IPv4Network]) -> None:
    wanted = {"home": UP, "office": Wanted(SERVERS[:1], passages=L2TP.passages), "dsl": Wanted()}
    text = strict.chains(wanted, local) + share.chains(wanted, {}, {"eth1", "br-lan", "ppp0"})
    # In a network of its own.
    command = [*unshare("--net"), shutil.which("nft", path="/usr/sbin:/usr/bin") or "nft", "-f", "-"]
    done = subprocess.run(
        command, input=f"table inet cablecar {{\n{text}}}\n", text=True, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
