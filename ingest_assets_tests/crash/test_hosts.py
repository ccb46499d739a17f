"""A host that is lost costs nothing but its work in hand; hosts are network namespaces."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest_assets.store.leases import LEASE_SECONDS
from ingest_assets_tests.crash import hosts


@pytest.mark.slow
@pytest.mark.skipif(not hosts.possible(), reason="needs Linux, root and iproute2")
def test_hosts_are_lost_and_come_back(tmp_path: Path) -> None:
    with hosts.cluster(tmp_path) as cluster:
        for fault in hosts.LOST:
            assert hosts.lose(cluster, fault) < LEASE_SECONDS + 60, fault
        for fault in hosts.HARMLESS:
            hosts.bear(cluster, fault)
