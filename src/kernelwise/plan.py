"""Problem -> Plan: which algorithm, and why."""

from __future__ import annotations

from dataclasses import dataclass

from .problem import Problem


@dataclass(frozen=True)
class Plan:
    problem: Problem
    algorithm: str
    reason: str


def choose(problem: Problem, method: str = "auto") -> Plan:
    return Plan(problem, "reference", "the only algorithm yet")
