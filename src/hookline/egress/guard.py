"""The address guard: may a delivery go to this address?

It judges addresses, never names: a name is judged by every address it resolves to, at the moment of connecting, and
the address that was judged is the one that is connected to.
"""

from __future__ import annotations

import functools
from typing import Final, NamedTuple

from hookline.egress.addresses import (
    DENIED_V4,
    DENIED_V6,
    GLOBAL_V6,
    METADATA_HOSTS,
    METADATA_V4,
    METADATA_V6,
    Block,
    pack,
    unwrap,
)
from hookline.egress.policy import EgressPolicy, Network

_MAX_CACHED_VERDICTS: Final = 16_384


class Verdict(NamedTuple):
    """Whether an address may be connected to, the rule that decided, and whether the operator listed it."""

    allowed: bool
    rule: str
    listed: bool = False


_NOT_AN_ADDRESS: Final = Verdict(allowed=False, rule="not_an_address")


class Guard:
    """Judges addresses by one policy, and remembers its verdicts."""

    def __init__(self, policy: EgressPolicy) -> None:
        self._allow = {4: _blocks(policy.allow, 4), 6: _blocks(policy.allow, 6)}
        self._deny = {4: _blocks(policy.deny, 4), 6: _blocks(policy.deny, 6)}
        self._denied_hosts = METADATA_HOSTS | {host.lower().rstrip(".") for host in policy.denied_hosts}
        self._verdicts: dict[bytes, Verdict] = {}

    def judge(self, address: str) -> Verdict:
        """Judge a textual address. What cannot be read as one is refused."""
        packed = pack(address)
        if packed is None:
            # Failure policy: closed. A resolver answer with a zone id, or anything odd, is never connected to.
            return _NOT_AN_ADDRESS
        verdict = self._verdicts.get(packed)
        if verdict is None:
            value = int.from_bytes(packed)
            verdict = self._judge_v4(value) if len(packed) == 4 else self._judge_v6(value)
            if len(self._verdicts) >= _MAX_CACHED_VERDICTS:
                self._verdicts.clear()
            self._verdicts[packed] = verdict
        return verdict

    def refuses_host(self, host: str) -> bool:
        """Whether a lower-case host name is refused whatever it resolves to."""
        if host in self._denied_hosts:
            return True
        # `localhost` must never leave the machine (RFC 6761): only worth a look-up if loopback is open at all.
        is_local = host == "localhost" or host.endswith(".localhost")
        return is_local and not (self.judge("127.0.0.1").allowed or self.judge("::1").allowed)

    def _judge_v4(self, value: int) -> Verdict:
        if (denied := _find(self._deny[4], value)) is not None:
            return Verdict(allowed=False, rule=denied.rule)
        if value in METADATA_V4:
            # A metadata service hands out the machine's credentials: a wide allow-list entry must not open it by
            # accident, only an entry of its own does.
            return _listed_alone(self._allow[4], value, 32)
        if _find(self._allow[4], value) is not None:
            return Verdict(allowed=True, rule="allow_list", listed=True)
        if (special := _find(DENIED_V4, value)) is not None:
            return Verdict(allowed=False, rule=special.rule)
        return Verdict(allowed=True, rule="public")

    def _judge_v6(self, value: int) -> Verdict:
        if (denied := _find(self._deny[6], value)) is not None:
            return Verdict(allowed=False, rule=denied.rule)
        if value in METADATA_V6:
            return _listed_alone(self._allow[6], value, 128)
        listed = _find(self._allow[6], value) is not None
        if not listed and value <= 1:
            return Verdict(allowed=False, rule="loopback" if value else "this_network")
        if value > 1 and (wrapped := unwrap(value)) is not None:
            kind, embedded = wrapped
            # Both must be open: the wrapper by the operator's list, what it carries by the same rules as without it.
            inner = self._judge_v4(embedded)
            if listed and inner.allowed:
                return Verdict(allowed=True, rule="allow_list", listed=True)
            return Verdict(allowed=False, rule=kind)
        if listed:
            return Verdict(allowed=True, rule="allow_list", listed=True)
        if value & GLOBAL_V6.mask != GLOBAL_V6.network:
            return Verdict(allowed=False, rule="not_global")
        if (special := _find(DENIED_V6, value)) is not None:
            return Verdict(allowed=False, rule=special.rule)
        return Verdict(allowed=True, rule="public")


@functools.lru_cache(maxsize=16)
def guard_for(policy: EgressPolicy) -> Guard:
    """The guard of a policy, made once."""
    return Guard(policy)


def _blocks(networks: tuple[Network, ...], version: int) -> tuple[Block, ...]:
    return tuple(
        Block(int(network.network_address), int(network.netmask), "deny_list")
        for network in networks
        if network.version == version
    )


def _find(blocks: tuple[Block, ...], value: int) -> Block | None:
    for block in blocks:
        if value & block.mask == block.network:
            return block
    return None


def _listed_alone(allow: tuple[Block, ...], value: int, bits: int) -> Verdict:
    alone = any(block.network == value and block.mask == (1 << bits) - 1 for block in allow)
    return Verdict(allowed=alone, rule="allow_list" if alone else "metadata", listed=alone)
