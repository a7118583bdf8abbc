"""What nftables' rules do with a call's packets: rule sets as `nft -j list ruleset` prints them."""

from pathlib import Path
from typing import Any

import pytest

from cablecar.helper import firewall
from cablecar.helper.carriers import BY_PROTOCOL
from cablecar.helper.firewall import OPEN, PASSES, STOPPED, outcomes, packets

CALL = packets("eth0", "203.0.113.7", BY_PROTOCOL["pptp"].passages)


def chain(name: str, hook: str = "", policy: str = "accept", table: str = "filter") -> dict[str, Any]:
    base = {"type": "filter", "hook": hook, "prio": 0, "policy": policy} if hook else {}
    return {"chain": {"family": "inet", "table": table, "name": name, "handle": 1, **base}}


def rule(name: str, *expr: dict[str, Any], table: str = "filter") -> dict[str, Any]:
    return {"rule": {"family": "inet", "table": table, "chain": name, "handle": 9, "expr": list(expr)}}


def match(left: dict[str, Any], right: Any, op: str = "==") -> dict[str, Any]:
    return {"match": {"op": op, "left": left, "right": right}}


def meta(key: str) -> dict[str, Any]:
    return {"meta": {"key": key}}


def field(protocol: str, name: str) -> dict[str, Any]:
    return {"payload": {"protocol": protocol, "field": name}}


ACCEPT, DROP = {"accept": None}, {"drop": None}
COUNTER = {"counter": {"packets": 0, "bytes": 0}}
ESTABLISHED = match({"ct": {"key": "state"}}, ["established", "related"], "in")
MASKED = match({"&": [field("tcp", "flags"), ["fin", "syn", "rst", "ack"]]}, "syn", "!=")
GRE = match(meta("l4proto"), "gre")
PPTP = match(field("tcp", "dport"), 1723)


def verdicts(*entries: dict[str, Any]) -> list[str]:
    """Return what becomes of TCP out, TCP in, GRE out and GRE in."""
    table = (
        {"metainfo": {"version": "1.0.6", "json_schema_version": 1}},
        {"table": {"family": "inet", "name": "filter"}},
    )
    return [one.verdict for one in outcomes({"nftables": [*table, *entries]}, CALL)]


def test_no_rules_stop_nothing() -> None:
    assert verdicts() == [PASSES] * 4


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([chain("in", "input", "drop")], [PASSES, STOPPED, PASSES, STOPPED]),
        ([chain("in", "input", "drop"), rule("in", ESTABLISHED, COUNTER, ACCEPT)], [PASSES, PASSES, PASSES, STOPPED]),
        ([chain("in", "input", "drop"), rule("in", match({"ct": {"key": "status"}}, "dnat", "in"), ACCEPT)],
         [PASSES, OPEN, PASSES, STOPPED]),
        ([chain("in", "input", "drop"), rule("in", ESTABLISHED, ACCEPT), {"ct helper": {"name": "x", "type": "pptp"}}],
         [PASSES, PASSES, PASSES, OPEN]),
        ([chain("in", "input", "drop"), {"rule": {**rule("in", MASKED, ACCEPT)["rule"], "comment": "cablecar home"}},
          rule("in", GRE, ACCEPT)], [PASSES] * 4),
        ([chain("in", "input", "drop"), rule("in", MASKED, ACCEPT), rule("in", GRE, ACCEPT)],
         [PASSES, OPEN, PASSES, PASSES]),
        ([chain("in", "input"), rule("in", GRE, DROP)], [PASSES, PASSES, PASSES, STOPPED]),
        ([chain("out", "output"), rule("out", PPTP, {"reject": {"type": "tcp reset"}})],
         [STOPPED, PASSES, PASSES, PASSES]),
        ([chain("out", "output", "drop"), rule("out", PPTP, ACCEPT)], [PASSES, PASSES, STOPPED, PASSES]),
        ([chain("out", "output"), rule("out", match(field("ip", "protocol"), 47), DROP)],
         [PASSES, PASSES, STOPPED, PASSES]),
        ([chain("out", "output"), rule("out", match(field("tcp", "dport"), {"range": [1700, 1800]}), DROP)],
         [STOPPED, PASSES, PASSES, PASSES]),
        ([chain("out", "output"), rule("out", match(meta("oifname"), "wlan0"), DROP)], [PASSES] * 4),
        ([chain("out", "output"), rule("out", match(meta("oifname"), "eth*"), DROP)],
         [STOPPED, PASSES, STOPPED, PASSES]),
        ([chain("in", "input", "drop"), rule("in", match(meta("iifname"), {"set": ["lo", "e*"]}), ACCEPT)],
         [PASSES] * 4),
        ([chain("out", "output"), rule("out", match(meta("oifname"), "eth\\*"), DROP)], [PASSES] * 4),
        ([chain("out", "output"), rule("out", match(meta("oifname"), "wlan0", "!="), GRE, DROP)],
         [PASSES, PASSES, STOPPED, PASSES]),
        ([chain("out", "output"), rule("out", match(field("udp", "dport"), 1723), DROP)], [PASSES] * 4),
        ([chain("out", "output"), rule("out", match(meta("skuid"), 1000), DROP)], [OPEN, PASSES, OPEN, PASSES]),
        ([chain("out", "output"), rule("out", match(meta("oifname"), "@cables"), DROP)], [OPEN, PASSES, OPEN, PASSES]),
        ([chain("in", "input", "drop"), rule("in", {"xt": {"type": "match", "name": "conntrack"}}, ACCEPT)],
         [PASSES, OPEN, PASSES, OPEN]),
        ([chain("fwd", "forward", "drop")], [PASSES] * 4),
        ([chain("out", "output"),
          rule("out", match(field("ip6", "daddr"), {"prefix": {"addr": "::", "len": 96}}), DROP),
          rule("out", match(meta("nfproto"), "ipv6"), DROP)], [PASSES] * 4),
        ([chain("out", "output"),
          rule("out", match(field("ip", "daddr"), {"prefix": {"addr": "203.0.0.0", "len": 8}}), DROP)],
         [STOPPED, PASSES, STOPPED, PASSES]),
        ([chain("out", "output"),
          rule("out", match(field("ip", "daddr"), {"set": [{"prefix": {"addr": "10.0.0.0", "len": 8}}]}), DROP)],
         [PASSES] * 4),
        ([chain("out", "output"), rule("out", match(meta("oifname"), "eth*"), GRE, DROP)],
         [PASSES, PASSES, STOPPED, PASSES]),
        ([chain("out", "output"), rule("out", match(meta("oifname"), {"set": ["wl*", "en*"]}), DROP)], [PASSES] * 4),
        ([chain("in", "input", "drop"), rule("in", match(meta("iifname"), {"set": ["wl*", "e*"]}), ACCEPT)],
         [PASSES] * 4),
        ([chain("in", "input", "drop"), rule("in", match(meta("iif"), "lo"), ACCEPT)],
         [PASSES, STOPPED, PASSES, STOPPED]),
        ([chain("out", "output"), rule("out", match(meta("oif"), "eth0", "!="), DROP)], [PASSES] * 4),
        ([chain("out", "output"), rule("out", match(meta("oif"), 7), DROP)], [PASSES] * 4),
        ([chain("in", "input"), rule("in", match(field("tcp", "dport"), {"set": [22, {"range": [80, 90]}]}),
                                     match(field("ip", "saddr"), "@banned"), DROP)], [PASSES] * 4),
        ([chain("in", "input"), rule("in", match(field("tcp", "dport"), {"set": [22, 2222]}), DROP)],
         [PASSES, OPEN, PASSES, PASSES]),
        ([chain("in", "input"), rule("in", match(field("tcp", "dport"), 22, "!="), DROP)],
         [PASSES, STOPPED, PASSES, PASSES]),
        ([chain("in", "input", "drop"), rule("in", match(field("tcp", "dport"), {"range": [1024, 65535]}), ACCEPT)],
         [PASSES, PASSES, PASSES, STOPPED]),
        ([chain("in", "input"), rule("in", match(field("tcp", "dport"), "@closed"), DROP)],
         [PASSES, OPEN, PASSES, PASSES]),
        ([chain("in", "input"), rule("in", match(field("ether", "saddr"), "00:11:22:33:44:55"), DROP)],
         [PASSES, OPEN, PASSES, OPEN]),
    ],
)  # fmt: skip
def test_a_chain(entries: list[dict[str, Any]], expected: list[str]) -> None:
    assert verdicts(*entries) == expected


def test_a_rule_for_a_server_or_a_cable_that_is_not_known_may_be_for_the_call() -> None:
    unknown = packets("", "", BY_PROTOCOL["pptp"].passages)
    for left, right in ((field("ip", "daddr"), "203.0.113.7"), (meta("oifname"), "eth0")):
        rules = [chain("out", "output", "drop"), rule("out", match(left, right), ACCEPT)]
        assert [one.verdict for one in outcomes({"nftables": rules}, unknown)] == [OPEN, PASSES, OPEN, PASSES]
    assert outcomes({"nftables": [chain("out", "output", "drop")]}, unknown)[0].verdict == STOPPED


def test_a_chain_that_is_jumped_to() -> None:
    jump, goto = {"jump": {"target": "ours"}}, {"goto": {"target": "ours"}}
    ours = [chain("ours"), rule("ours", GRE, ACCEPT), rule("ours", PPTP, {"return": None}), rule("ours", PPTP, DROP)]
    entries = [chain("out", "output", "drop"), *ours]
    assert verdicts(*entries, rule("out", jump), rule("out", PPTP, ACCEPT)) == [PASSES] * 4
    assert verdicts(*entries, rule("out", goto), rule("out", PPTP, ACCEPT))[0] == STOPPED, "goto does not come back"
    endless = [chain("ours"), rule("ours", jump)]
    assert verdicts(chain("out", "output"), *endless, rule("out", jump))[0] == OPEN


def test_a_chain_that_translates_addresses_stops_only_what_it_says() -> None:
    # Docker's, as iptables-nft has it: `-m addrtype --dst-type LOCAL -j DOCKER`
    nat = {"chain": {**chain("OUTPUT", "output", table="nat")["chain"], "type": "nat"}}
    local = {"xt": {"type": "match", "name": "addrtype"}}
    docker = [chain("DOCKER", table="nat"), rule("OUTPUT", local, {"jump": {"target": "DOCKER"}}, table="nat")]
    assert verdicts(nat, *docker) == [PASSES] * 4
    assert verdicts(nat, *docker, rule("OUTPUT", GRE, DROP, table="nat")) == [PASSES, PASSES, OPEN, PASSES]
    assert verdicts(nat, rule("OUTPUT", GRE, DROP, table="nat")) == [PASSES, PASSES, STOPPED, PASSES]


def test_rules_about_a_server_or_a_cable_that_is_not_known_may_be_for_them() -> None:
    entries = [
        chain("out", "output", "drop"),
        rule("out", match(field("ip", "daddr"), "203.0.113.7"), match(meta("oifname"), "eth0"), ACCEPT),
    ]
    unknown = packets("", "", BY_PROTOCOL["pptp"].passages)
    assert [one.verdict for one in outcomes({"nftables": entries}, unknown)] == [OPEN, PASSES, OPEN, PASSES]


def test_accepting_in_one_table_does_not_save_from_another() -> None:
    entries = [
        chain("out", "output", table="one"),
        rule("out", ACCEPT, table="one"),
        chain("out", "output", "drop", "two"),
    ]
    perhaps = [chain("out", "output", table="three"), rule("out", match(meta("skuid"), 1000), DROP, table="three")]
    found = outcomes({"nftables": entries + perhaps}, CALL)
    assert found[0].verdict == STOPPED
    assert found[0].place == "chain out of table inet two"


def test_the_rule_that_stops_a_packet_is_named() -> None:
    ours = [chain("ours"), rule("ours", GRE, DROP)]
    entries = [
        chain("out", "output", "drop"),
        *ours,
        rule("out", {"jump": {"target": "ours"}}),
        rule("out", GRE, ACCEPT),
    ]
    by_policy, _, by_rule, _ = outcomes({"nftables": entries}, CALL)
    assert by_policy.place == "chain out of table inet filter"
    assert by_rule.place == "rule handle 9 of chain ours of table inet filter"
    assert by_policy.chain == by_rule.chain == ("inet", "filter", "out"), "a rule of ours belongs into the base chain"
    unreadable = [chain("out", "output"), rule("out", {"jump": {"target": "ours"}}), rule("ours", {"xt": {}})]
    assert outcomes({"nftables": unreadable}, CALL)[0].place == "chain out of table inet filter"
    perhaps = [*unreadable, rule("out", match(meta("skuid"), 1000), DROP)]
    assert outcomes({"nftables": perhaps}, CALL)[0].place == "rule handle 9 of chain out of table inet filter"


def test_tables_of_old_iptables_are_known_by_name(tmp_path: Path) -> None:
    names = tmp_path / "ip_tables_names"
    assert firewall.legacy(names) == []
    names.write_text("nat\nmangle\nfilter\n")
    assert firewall.legacy(names) == ["filter", "mangle"]


@pytest.fixture
def nft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "nft"
    monkeypatch.setattr(firewall, "NFT", str(program))
    return program


def play(program: Path, script: str) -> None:
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


async def test_all_that_nft_says_is_read(nft: Path) -> None:
    play(
        nft,
        """test "$*" = "-j -s -t list ruleset" || exit 1
echo '{"nftables": ['; for i in $(seq 20000); do echo '{"metainfo": {}},'; done; sleep 0.1; echo '{}]}'""",
    )
    assert len((await firewall.ruleset())["nftables"]) == 20001


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("echo nonsense", ValueError),
        ("exit 1", OSError),
        ("exec sleep 60", OSError),
        ("exec yes", ValueError),
    ],
)
async def test_an_nft_that_does_not_answer_harms_nobody(
    nft: Path, script: str, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(firewall, "LIMIT", 1.0)
    play(nft, script)
    with pytest.raises(error):
        await firewall.ruleset()


async def test_without_nft_nothing_is_read(nft: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await firewall.ruleset()
