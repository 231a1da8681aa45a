"""Limits under which nothing of edgeseg can run, found before any library is loaded."""

from __future__ import annotations

import resource

LEAST_ADDRESS_SPACE = 1_000_000 << 10
"""With 700,000 kB a drawn drive of 128x72 ends for lack of memory, with 500,000 in a library's segmentation fault."""


def address_space_fault() -> str | None:
    """Return what is wrong with the limit of the address space (ulimit -v); None if it is large enough."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY or limit >= LEAST_ADDRESS_SPACE:
        return None
    return (
        f"the address space is limited to {limit >> 20} MB; expected at least {LEAST_ADDRESS_SPACE >> 20}: raise "
        f"ulimit -v, and limit memory by a service's MemoryMax= instead"
    )
