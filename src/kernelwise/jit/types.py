"""The types of generated code: an element and a number of lanes."""

from __future__ import annotations

from dataclasses import dataclass

SIZES = {"i1": 1, "i8": 1, "i16": 2, "i32": 4, "i64": 8, "half": 2, "float": 4, "double": 8, "ptr": 8}
SHORT = {"half": "f16", "float": "f32", "double": "f64"}


@dataclass(frozen=True, slots=True)
class Type:
    """An LLVM type: ``lanes`` elements side by side; one lane is a scalar."""

    element: str
    lanes: int = 1

    @property
    def text(self) -> str:
        return self.element if self.lanes == 1 else f"<{self.lanes} x {self.element}>"

    @property
    def mangled(self) -> str:
        """The suffix of an overloaded intrinsic: f32, v16f32, v8i64."""
        short = SHORT.get(self.element, self.element)
        return short if self.lanes == 1 else f"v{self.lanes}{short}"

    @property
    def is_float(self) -> bool:
        return self.element in SHORT

    @property
    def element_bytes(self) -> int:
        return SIZES[self.element]

    @property
    def bytes(self) -> int:
        return SIZES[self.element] * self.lanes

    @property
    def scalar(self) -> Type:
        return Type(self.element)

    def of(self, lanes: int) -> Type:
        return Type(self.element, lanes)

    def mask(self) -> Type:
        return Type("i1", self.lanes)


I1, I8, I16, I32, I64 = (Type(f"i{n}") for n in (1, 8, 16, 32, 64))
F16, F32, F64 = Type("half"), Type("float"), Type("double")
PTR = Type("ptr")
VOID = Type("void")
