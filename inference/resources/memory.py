"""How much memory decoding may take by default, and how what it took goes back to the system."""

from __future__ import annotations

import ctypes
import os
import resource
from typing import TYPE_CHECKING

from inference.resources.cgroups import ROOT, control_files
from inference.resources.cpus import usable_cpus

if TYPE_CHECKING:
    from pathlib import Path

_MIB = 1024 * 1024
# 125 measured: the whole worker with the shipped model and 16 threads. What is left is for a larger model, and for one
# file beyond the share of files (``admission``).
_PROCESS_BYTES = 320 * _MIB
_BYTES_PER_CPU = 384 * _MIB  # only as many decodes advance as there are CPUs; more memory would buy nothing
_LEAST_BYTES = 64 * _MIB
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # <malloc.h>
_MAPPED_FROM_BYTES = 4 * _MIB  # above a reduced JPEG, whose memory is worth keeping warm


def budget_bytes(chosen_mib: int | None) -> int:
    """Return the decode budget of a process: what its person chose, or ``default_budget_bytes``."""
    return chosen_mib * _MIB if chosen_mib else default_budget_bytes()


def default_budget_bytes(root: Path = ROOT) -> int:
    """Choose the decode budget of a process that was told none: what is available, or 384 MiB per usable CPU.

    The smaller of the two; two CPUs are assumed at least.

    Args:
        root: Where ``proc`` and ``sys`` are found; a test gives its own.
    """
    return min(available_bytes(root), _BYTES_PER_CPU * max(2, usable_cpus(root)))


def available_bytes(root: Path = ROOT) -> int:
    """Say what is left for images once the process itself has what it needs; 64 MiB at least.

    The smallest of the control groups' memory limits (version 1 and 2), ``RLIMIT_AS``, ``RLIMIT_DATA`` and the
    machine's memory, less 320 MiB.

    Args:
        root: Where ``proc`` and ``sys`` are found; a test gives its own.
    """
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for name in ("memory.max", "memory.limit_in_bytes"):
        limits += [int(text) for text in control_files(root, "memory", name) if text.isdigit()]
    for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
        soft, _ = resource.getrlimit(kind)
        if soft != resource.RLIM_INFINITY:
            limits.append(soft)
    return max(_LEAST_BYTES, min(limits) - _PROCESS_BYTES)


def trim_heaps() -> None:
    """Give what is free in all of glibc's heaps back to the system: 1 to 12 ms; does nothing on other C libraries.

    Each thread has a heap of its own for blocks below 4 MiB and keeps what one large image left there, while another
    thread's image needs as much again: 16 threads with one 50-megapixel HEIC each reached 572 MiB, 450 with this after
    every image.
    """
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        return


def return_freed_memory() -> None:
    """Make glibc give freed memory back to the system; does nothing on other C libraries.

    By default it learns to keep large blocks, and has a heap for each thread. Blocks of 4 MiB and more go straight
    back: after sixteen 50-megapixel HEICs it held 250 MiB of nothing, 20 MiB with this, for 3 % more CPU per
    12-megapixel JPEG. And there are as many heaps as threads can be busy at once, and the main thread's: a worker of
    sixteen threads held 271 MiB after 12-megapixel photos on two CPUs, 214 with three heaps, for the same CPU. (With
    two, two busy threads fell out of step with the main heap's trimming: twice the page faults, 4 % more CPU at 2 MP.)

    This changes the whole process, so the program that owns the process calls it, once and before it starts threads; a
    library user is left alone.
    """
    try:
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, _MAPPED_FROM_BYTES)
        library.mallopt(_M_ARENA_MAX, usable_cpus() + 1)
    except (OSError, AttributeError):  # no C library to ask, or one without mallopt
        return
