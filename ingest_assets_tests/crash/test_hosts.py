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
            seconds, *rest = hosts.lose(cluster, fault)
            assert seconds is not None
            assert seconds < LEASE_SECONDS + 60, fault
            assert rest == [0, 0, "failure"], fault
        for fault in hosts.HARMLESS:
            assert hosts.bear(cluster, fault)[:3] == (None, 0, 0), fault
