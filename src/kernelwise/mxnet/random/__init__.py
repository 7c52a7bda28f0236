"""mx.random: random numbers, bit for bit those of MXNet 1.9.1 on the CPU. A program that sets no seed has seed 0."""

from __future__ import annotations

from ..uncovered import lookup, table
from .choosing import multinomial, randint, shuffle
from .samplers import (
    exponential,
    exponential_like,
    normal,
    normal_like,
    randn,
    uniform,
    uniform_like,
)
from .state import seed

__all__ = [
    "exponential",
    "exponential_like",
    "multinomial",
    "normal",
    "normal_like",
    "randint",
    "randn",
    "seed",
    "shuffle",
    "uniform",
    "uniform_like",
]

_UNCOVERED = table(
    "mx.random.",
    """
    gamma gamma_like: torch.distributions.Gamma
    poisson poisson_like: torch.poisson
    negative_binomial negative_binomial_like: torch.distributions.NegativeBinomial
    generalized_negative_binomial generalized_negative_binomial_like: torch.distributions.NegativeBinomial
    """,
)


def __getattr__(name: str) -> object:
    return lookup(__name__, _UNCOVERED, name)
