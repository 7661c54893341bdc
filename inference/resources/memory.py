"""The memory that decoding may use by default, and how freed memory returns to the system."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import TYPE_CHECKING

from inference.resources.cgroups import ROOT, control_files
from inference.resources.cpus import usable_cpus

if TYPE_CHECKING:
    from pathlib import Path

_MIB = 1024 * 1024
# The whole worker with the shipped model and 16 threads takes 125 MiB (measured). The rest is for a larger model, and
# for one file beyond the share of downloaded files (``admission``).
_PROCESS_BYTES = 320 * _MIB
_BYTES_PER_CPU = 384 * _MIB  # as many decodes advance at once as there are CPUs; more memory makes nothing faster
_LEAST_BYTES = 64 * _MIB
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # <malloc.h>
_MMAP_THRESHOLD_BYTES = 4 * _MIB  # a reduced JPEG is smaller: its memory stays in the heap for the next one
_TRIM_THRESHOLD_BYTES = 8 * _MIB  # pixels and image of a reduced JPEG are 6 MiB


def budget_bytes(chosen_mib: int | None) -> int:
    """Return the decode budget of a process: the configured one, or ``default_budget_bytes``."""
    return chosen_mib * _MIB if chosen_mib else default_budget_bytes()


def default_budget_bytes(root: Path = ROOT) -> int:
    """Return the smaller of the available memory and 384 MiB per usable CPU, of which at least two are assumed.

    Args:
        root: The folder of ``proc`` and ``sys``; tests pass their own.
    """
    return min(available_bytes(root), _BYTES_PER_CPU * max(2, usable_cpus(root)))


def available_bytes(root: Path = ROOT) -> int:
    """Return the memory for images, beside what the process itself needs; at least 64 MiB.

    It is the smallest of the control groups' memory limits (version 1 and 2), ``RLIMIT_AS``, ``RLIMIT_DATA`` and the
    machine's memory, less 320 MiB.

    Args:
        root: The folder of ``proc`` and ``sys``; tests pass their own.
    """
    limits = [_machine_bytes(), *_resource_limits()]
    for name in ("memory.max", "memory.limit_in_bytes"):
        limits += [int(text) for text in control_files(root, "memory", name) if text.isdigit()]
    return max(_LEAST_BYTES, min(limits) - _PROCESS_BYTES)


def trim_heaps() -> None:
    """Return the free memory of all of glibc's heaps to the system, in 1 to 12 ms. No-op on other C libraries.

    Each thread has its own heap for blocks below 4 MiB and keeps there what one large image left, while the image of
    another thread needs as much again: 16 threads with one 50-megapixel HEIC each reached 572 MiB, and 450 MiB when
    this was called after every image.
    """
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError, TypeError):  # TypeError: Windows has no default library
        return


def return_freed_memory() -> None:
    """Make glibc return freed memory to the system. No-op on other C libraries.

    By default glibc keeps large freed blocks, and one heap per thread. With this call it returns blocks from 4 MiB on
    at once: after sixteen 50-megapixel HEICs 20 MiB remained instead of 250, for 3 % more CPU per 12-megapixel JPEG.
    And there are only as many heaps as usable CPUs, and the main thread's: after 12-megapixel photos on two CPUs a
    worker of sixteen threads held 214 MiB instead of 271, for the same CPU. (With two heaps, two busy threads and the
    main heap's trimming disturbed each other: twice the page faults, 4 % more CPU at 2 megapixels.)

    Each heap keeps up to 8 MiB at its end. By default that is 128 KiB once the other limit is set: every JPEG gave its
    memory back and met 500 to 800 page faults, which took 27 % of its decode's CPU at 0.3 megapixels, 17 % at 2 and
    4 % at 12 (a busy virtual machine).

    This changes the whole process, so only a program's entry point calls it, once and before it starts threads.
    """
    try:
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD_BYTES)
        library.mallopt(_M_TRIM_THRESHOLD, _TRIM_THRESHOLD_BYTES)
        library.mallopt(_M_ARENA_MAX, usable_cpus() + 1)
    except (OSError, AttributeError, TypeError):
        return


if sys.platform == "win32":

    class _MemoryStatus(ctypes.Structure):
        """``MEMORYSTATUSEX`` of the Windows API; only the total is read."""

        _fields_ = (
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            ("total_physical", ctypes.c_ulonglong),
            ("others", ctypes.c_ulonglong * 6),
        )

    def _machine_bytes() -> int:
        status = _MemoryStatus(length=ctypes.sizeof(_MemoryStatus))
        ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
        return int(status.total_physical)

    def _resource_limits() -> list[int]:
        return []  # Windows has none
else:

    def _machine_bytes() -> int:
        """Return the machine's physical memory."""
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

    def _resource_limits() -> list[int]:
        """Return the process's own limits on memory, in bytes."""
        import resource

        limits = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA)]
        return [soft for soft in limits if soft != resource.RLIM_INFINITY]
