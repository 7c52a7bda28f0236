"""The machine that code is written for: instruction set, vector width and register count, as data."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from functools import cache

import llvmlite.binding as llvm

from ..errors import ArgumentError

CHOICES = ("host", "avx512", "avx2", "sse", "neon")


@dataclass(frozen=True, slots=True)
class Target:
    """What the emitters need to know of a machine. Two equal targets get the same code."""

    name: str
    triple: str
    cpu: str
    features: str
    vector_bytes: int  # of one register
    registers: int  # of that width
    fused: bool  # has fused multiply-add

    @property
    def large_caches(self) -> bool:
        """Whether a core has more than 32 KB and 512 KB to itself: where there is AVX-512, as a rule; else not to be
        counted on."""
        return self.name == "avx512"

    def lanes(self, element_bytes: int) -> int:
        return self.vector_bytes // element_bytes


def _x86(name: str, cpu: str, features: str) -> Target:
    width, registers = {"avx512": (64, 32), "avx2": (32, 16), "sse": (16, 16)}[name]
    return Target(name, llvm.get_process_triple(), cpu, features, width, registers, name != "sse")


def _aarch64(cpu: str, features: str, triple: str) -> Target:
    return Target("neon", triple, cpu, features, 16, 32, True)


@cache
def host_features() -> frozenset[str]:
    return frozenset(name for name, present in llvm.get_host_cpu_features().items() if present)


@cache
def named(name: str) -> Target:
    """The target of that name. x86: 'avx512', 'avx2', 'sse'; AArch64: 'neon'; 'host' is the best this CPU has.

    'host' code is tuned for this very CPU; the others use the common subset of their name, so that any CPU which
    has it can run them. 'neon' can be built on any machine (to look at its assembly) and run on AArch64 only.
    """
    if name not in CHOICES:
        raise ArgumentError(f"`target` must be one of {', '.join(map(repr, CHOICES))} (got {name!r})")
    if name == "host":
        return _host()
    if name == "neon":
        return _aarch64("generic", "+neon", "aarch64-unknown-linux-gnu")
    return _x86(name, {"avx512": "x86-64-v4", "avx2": "x86-64-v3", "sse": "x86-64-v2"}[name], "")


def _host() -> Target:
    cpu, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    if platform.machine().lower() in ("aarch64", "arm64"):
        return _aarch64(cpu, features, llvm.get_process_triple())
    return _x86(available()[0], cpu, features)


@cache
def available() -> tuple[str, ...]:
    """Names of the targets whose code this CPU can run, best first."""
    if platform.machine().lower() in ("aarch64", "arm64"):
        return ("neon",)
    needs = {
        "avx512": {"avx512f", "avx512bw", "avx512dq", "avx512vl", "fma", "bmi2"},
        "avx2": {"avx2", "fma", "bmi2", "f16c"},
        "sse": {"sse4.2"},
    }
    return tuple(name for name, features in needs.items() if features <= host_features())


def current() -> Target:
    """The target in use: KERNELWISE_TARGET if set, else the host."""
    return named(os.environ.get("KERNELWISE_TARGET") or "host")
