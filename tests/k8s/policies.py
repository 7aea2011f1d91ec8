"""Who may connect to whom, by the rules of NetworkPolicy: allowed by one policy is allowed.

Knows what our manifests use: selectors by labels and `In`, namespaces, ports by number.
"""

from dataclasses import dataclass
from typing import Any

Block = dict[str, Any]

HOME = "inpaint"


@dataclass(frozen=True)
class Pod:
    """A pod, or with no labels and no namespace somebody outside the cluster."""

    labels: tuple[tuple[str, str], ...]
    namespace: str | None = HOME

    @classmethod
    def of(cls, labels: dict[str, str], namespace: str | None = HOME) -> "Pod":
        return cls(tuple(labels.items()), namespace)


OUTSIDE = Pod((), None)


def allowed(policies: list[Block], source: Pod, target: Pod, port: int, protocol="TCP") -> bool:
    """Whether a connection passes both the source's way out and the target's way in."""
    way_out = _passes(policies, source, target, port, protocol, "egress", "to")
    way_in = _passes(policies, target, source, port, protocol, "ingress", "from")
    return way_out and way_in


def _passes(policies, pod, peer, port, protocol, direction, peers_key) -> bool:
    if pod.namespace != HOME:
        return True  # another namespace's policies are not ours
    mine = [
        policy["spec"]
        for policy in policies
        if direction.capitalize() in policy["spec"]["policyTypes"]
        and _matches(policy["spec"]["podSelector"], dict(pod.labels))
    ]
    rules = [rule for spec in mine for rule in spec.get(direction, [])]
    return not mine or any(
        _has_port(rule, port, protocol) and _has_peer(rule.get(peers_key), peer) for rule in rules
    )


def _has_port(rule: Block, port: int, protocol: str) -> bool:
    ports = rule.get("ports")
    return ports is None or any((one["protocol"], one["port"]) == (protocol, port) for one in ports)


def _has_peer(peers: list[Block] | None, peer: Pod) -> bool:
    return peers is None or any(_is_peer(one, peer) for one in peers)


def _is_peer(wanted: Block, peer: Pod) -> bool:
    assert wanted.keys() <= {"podSelector", "namespaceSelector"}
    if peer.namespace is None:
        return False
    if "namespaceSelector" in wanted:
        names = {"kubernetes.io/metadata.name": peer.namespace}
        if not _matches(wanted["namespaceSelector"], names):
            return False
    elif peer.namespace != HOME:
        return False
    return _matches(wanted.get("podSelector", {}), dict(peer.labels))


def _matches(selector: Block, labels: dict[str, str]) -> bool:
    assert selector.keys() <= {"matchLabels", "matchExpressions"}
    expressions = selector.get("matchExpressions", [])
    assert all(one["operator"] == "In" for one in expressions)
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        labels.get(one["key"]) in one["values"] for one in expressions
    )
