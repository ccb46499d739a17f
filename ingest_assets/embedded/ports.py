"""Free ports of this machine's loopback interface.

Belongs here: finding them. Does not belong here: which service has which port (`credentials`).
"""

from __future__ import annotations

import random
import socket

# Linux and macOS take the ports of outgoing connections from above this range, so a port in it is
# likely to be free at the next start, too. SeaweedFS also opens each of its ports plus the offset.
_PORTS = range(10_000, 22_000)
COMPANION_OFFSET = 10_000


def port_is_free(port: int) -> bool:
    """Tell whether a server could listen at this port of the loopback interface now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def any_free_port() -> int:
    """Return a port for a server that need not have the same one the next time."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def lasting_ports(count: int, *, companions: bool = False) -> list[int]:
    """Return free ports that will probably be free at the next start too.

    Args:
        count: how many.
        companions: whether the port `COMPANION_OFFSET` above each must be free as well.
    """
    ports: list[int] = []
    for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
        if len(ports) == count:
            break
        if port_is_free(port) and (not companions or port_is_free(port + COMPANION_OFFSET)):
            ports.append(port)
    return ports
