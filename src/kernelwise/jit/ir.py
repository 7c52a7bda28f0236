"""The vocabulary for writing machine code: values with operators, loops that carry values, memory, and little else.

A Function collects LLVM IR as text while Python runs, so an emitter reads like the loops it emits:

    fn = module.function("axpy", [("x", PTR), ("y", PTR), ("n", I64)])
    x, y, n = fn.args
    with fn.loop(0, n, step=16) as i:
        v = fn.load(F32.of(16), x + i * 4)
        fn.store(fn.fma(v, 2.0, fn.load(F32.of(16), y + i * 4)), y + i * 4)

Pointers advance by bytes. No fast-math flag is ever set; a fused multiply-add is written where it is meant.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from .target import Target
from .types import I32, I64, PTR, VOID, Type
from .values import Number, Value, literal


class Loop:
    """A counted loop that carries values from turn to turn. Inside: ``index`` and ``carried``; after: ``results``."""

    def __init__(self, index: Value, carried: list[Value]) -> None:
        self.index, self.carried, self._next = index, carried, carried

    def carry_on(self, values: Sequence[Value]) -> None:
        """Name the values the next turn starts with."""
        self._next = list(values)

    @property
    def results(self) -> list[Value]:
        return self.carried


class Function:
    """One function under construction."""

    def __init__(
        self, module: Module, name: str, args: Sequence[tuple[str, Type]], returns: Type, internal: bool
    ) -> None:
        self.module, self.name, self.returns, self.internal = module, name, returns, internal
        self.args = [Value(self, t, f"%{n}") for n, t in args]
        self.target = module.target
        self._lines: list[str] = []
        self._slots: list[str] = []
        self._count = 0
        self._block = "entry"
        self._closed = False

    # ---- emitting

    def fresh(self, stem: str = "v") -> str:
        self._count += 1
        return f"{stem}{self._count}"

    def line(self, text: str) -> None:
        self._lines.append("  " + text)

    def emit(self, type: Type, expression: str) -> Value:
        name = f"%{self.fresh()}"
        self._lines.append(f"  {name} = {expression}")
        return Value(self, type, name)

    def constant(self, type: Type, number: Number) -> Value:
        text = literal(type.element, number)
        return Value(self, type, text if type.lanes == 1 else f"splat ({type.element} {text})")

    def value(self, type: Type, given: Value | Number) -> Value:
        return given if isinstance(given, Value) else self.constant(type, given)

    def index(self, given: Value | int) -> Value:
        return self.value(I64, given)

    def null(self) -> Value:
        return Value(self, PTR, "null")

    # ---- memory

    def offset(self, pointer: Value, count: Value | int) -> Value:
        """The pointer ``count`` bytes further. Always getelementptr: an address never passes through an integer."""
        if isinstance(count, int) and count == 0:
            return pointer
        return self.emit(PTR, f"getelementptr i8, ptr {pointer.name}, i64 {self.index(count).name}")

    def load(self, type: Type, pointer: Value, align: int | None = None) -> Value:
        return self.emit(type, f"load {type.text}, ptr {pointer.name}, align {align or type.element_bytes}")

    def load_masked(self, type: Type, pointer: Value, mask: Value) -> Value:
        """The lanes under the mask; zeros elsewhere, where nothing is read."""
        args = [pointer, self.constant(I32, type.element_bytes), mask, self.constant(type, 0)]
        return self.call(f"llvm.masked.load.{type.mangled}.p0", type, args)

    def first_lanes(self, lanes: int, count: int) -> Value:
        """A mask of so many lanes, of which the first ``count`` are set."""
        bits = ", ".join(f"i1 {'true' if k < count else 'false'}" for k in range(lanes))
        return Value(self, Type("i1", lanes), f"<{bits}>")

    def store_masked(self, value: Value, pointer: Value, mask: Value) -> None:
        """The lanes that are set in a mask; no other memory is written."""
        align = self.constant(I32, value.type.element_bytes)
        self.call(f"llvm.masked.store.{value.type.mangled}.p0", VOID, [value, pointer, align, mask])

    def store(self, value: Value, pointer: Value, align: int | None = None, stream: bool = False) -> None:
        """``stream`` goes past the caches; then ``align`` must be the vector's full size."""
        hint = ", !nontemporal !0" if stream else ""
        self.line(f"store {value.typed}, ptr {pointer.name}, align {align or value.type.element_bytes}{hint}")

    def stack(self, size: int, align: int = 64) -> Value:
        """``size`` bytes that live until the function returns."""
        name = f"%{self.fresh('s')}"
        self._slots.append(f"  {name} = alloca [{size} x i8], align {align}")
        return Value(self, PTR, name)

    def fence(self) -> None:
        """Keep the compiler, not the machine, from moving loads across: it would merge them and spill sums."""
        self.line('call void asm sideeffect "", "~{memory}"()')

    def prefetch(self, pointer: Value, write: bool = False) -> None:
        """Ask for a line of memory that will be read, or written. The address may be any: nothing happens to it."""
        self.call("llvm.prefetch.p0", VOID, [pointer, *(self.constant(I32, n) for n in (int(write), 3, 1))])

    def pause(self) -> None:
        """Tell the core that this thread waits for another one."""
        if self.target.name == "neon":
            self.call("llvm.aarch64.isb", VOID, [self.constant(I32, 15)])
        else:
            self.call("llvm.x86.sse2.pause", VOID, [])

    def pin(self, value: Value) -> Value:
        """The same value, computed here and now: where the compiler may put sums off, it runs out of registers."""
        register = {"avx512": "v", "neon": "w"}.get(self.target.name, "x")
        kind = value.type.text
        return self.emit(value.type, f'call {kind} asm sideeffect "", "={register},0"({value.typed})')

    # ---- arithmetic

    def fma(self, a: Value, b: Value | Number, c: Value) -> Value:
        """a * b + c, rounded once where the target has the instruction, else twice."""
        b = self.value(a.type, b)
        if not self.target.fused:
            return a * b + c
        return self.intrinsic("fma", a.type, [a, b, c])

    def intrinsic(self, name: str, type: Type, args: Sequence[Value]) -> Value:
        return self.call(f"llvm.{name}.{type.mangled}", type, args)

    def select(self, condition: Value, yes: Value, no: Value | Number) -> Value:
        no = self.value(yes.type, no)
        return self.emit(yes.type, f"select {condition.typed}, {yes.typed}, {no.typed}")

    def splat(self, scalar: Value, lanes: int) -> Value:
        if lanes == 1:
            return scalar
        wide = scalar.type.of(lanes)
        one = self.emit(wide, f"insertelement {wide.text} poison, {scalar.typed}, i64 0")
        return self.emit(wide, f"shufflevector {one.typed}, {wide.text} poison, <{lanes} x i32> zeroinitializer")

    def shuffle(self, a: Value, b: Value, lanes: Sequence[int]) -> Value:
        picks = ", ".join(f"i32 {i}" for i in lanes)
        return self.emit(a.type.of(len(lanes)), f"shufflevector {a.typed}, {b.typed}, <{len(lanes)} x i32> <{picks}>")

    # ---- calls

    def call(self, callee: str, returns: Type, args: Sequence[Value]) -> Value:
        self.module.declare(callee, returns, [a.type for a in args])
        return self._call(f"@{callee}", returns, args)

    def call_pointer(self, callee: Value, returns: Type, args: Sequence[Value]) -> Value:
        return self._call(callee.name, returns, args)

    def _call(self, callee: str, returns: Type, args: Sequence[Value]) -> Value:
        text = f"call {returns.text} {callee}({', '.join(a.typed for a in args)})"
        if returns == VOID:
            self.line(text)
            return Value(self, VOID, "")
        return self.emit(returns, text)

    def ret(self, value: Value | None = None) -> None:
        self.line("ret void" if value is None else f"ret {value.typed}")
        self._closed = True

    # ---- atomics, for what threads share; sequentially consistent throughout

    def atomic_add(self, pointer: Value, value: Value | int, type: Type = I64) -> Value:
        return self.emit(type, f"atomicrmw add ptr {pointer.name}, {self.value(type, value).typed} seq_cst")

    def atomic_swap(self, pointer: Value, value: Value | int, type: Type = I64) -> Value:
        """Store ``value``; the result is what was there."""
        return self.emit(type, f"atomicrmw xchg ptr {pointer.name}, {self.value(type, value).typed} seq_cst")

    def atomic_load(self, pointer: Value, type: Type = I64) -> Value:
        return self.emit(type, f"load atomic {type.text}, ptr {pointer.name} seq_cst, align {type.bytes}")

    def atomic_store(self, value: Value | int, pointer: Value, type: Type = I64) -> None:
        self.line(f"store atomic {self.value(type, value).typed}, ptr {pointer.name} seq_cst, align {type.bytes}")

    # ---- control

    def label(self, name: str) -> None:
        self._lines.append(f"{name}:")
        self._block, self._closed = name, False

    def jump(self, label: str) -> None:
        if not self._closed:
            self.line(f"br label %{label}")
        self._closed = True

    def branch(self, condition: Value, yes: str, no: str) -> None:
        self.line(f"br i1 {condition.name}, label %{yes}, label %{no}")

    @contextlib.contextmanager
    def when(self, condition: Value) -> Iterator[None]:
        """The body runs if the condition holds."""
        body, after = self.fresh("then"), self.fresh("after")
        self.branch(condition, body, after)
        self.label(body)
        yield
        self.jump(after)
        self.label(after)

    @contextlib.contextmanager
    def counted(
        self, start: Value | int, stop: Value | int, step: Value | int = 1, carry: Sequence[Value] = ()
    ) -> Iterator[Loop]:
        """start, start + step, ... below stop; ``carry`` are the values of the first turn."""
        start, stop, step = self.index(start), self.index(stop), self.index(step)
        head, body, latch, after = (self.fresh(n) for n in ("head", "body", "latch", "after"))
        before = self._block
        self.jump(head)
        self.label(head)
        names = [f"%{self.fresh()}" for _ in range(1 + len(carry))]
        loop = Loop(Value(self, I64, names[0]), [Value(self, c.type, n) for c, n in zip(carry, names[1:], strict=True)])
        place = len(self._lines)
        self._lines.append("")  # the phis, known once the body is
        self.branch(loop.index < stop, body, after)
        self.label(body)
        yield loop
        self.jump(latch)
        self.label(latch)
        following = loop.index + step
        self.jump(head)
        turns = zip([loop.index, *loop.carried], [start, *carry], [following, *loop._next], strict=True)
        self._lines[place] = "\n".join(
            f"  {v.name} = phi {v.type.text} [ {a.name}, %{before} ], [ {b.name}, %{latch} ]" for v, a, b in turns
        )
        self.label(after)

    @contextlib.contextmanager
    def loop(self, start: Value | int, stop: Value | int, step: Value | int = 1) -> Iterator[Value]:
        """A counted loop that carries nothing: the index alone."""
        with self.counted(start, stop, step) as loop:
            yield loop.index

    @contextlib.contextmanager
    def forever(self) -> Iterator[Callable[[Value], None]]:
        """Repeat until the given function is called with a condition that holds."""
        head, after = self.fresh("again"), self.fresh("after")
        self.jump(head)
        self.label(head)

        def stop_if(condition: Value) -> None:
            onward = self.fresh("on")
            self.branch(condition, after, onward)
            self.label(onward)

        yield stop_if
        self.jump(head)
        self.label(after)

    @property
    def text(self) -> str:
        head = f"define {'internal ' if self.internal else ''}{self.returns.text} @{self.name}"
        args = ", ".join(a.typed for a in self.args)
        end = [] if self._closed else ["  ret void" if self.returns == VOID else "  unreachable"]
        return "\n".join([f"{head}({args}) #0 {{", "entry:", *self._slots, *self._lines, *end, "}", ""])


class Module:
    """Functions that are compiled together for one target."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.functions: list[Function] = []
        self._declared: dict[str, str] = {}

    def function(
        self, name: str, args: Sequence[tuple[str, Type]], returns: Type = VOID, internal: bool = False
    ) -> Function:
        fn = Function(self, name, args, returns, internal)
        self.functions.append(fn)
        return fn

    def declare(self, name: str, returns: Type, args: Sequence[Type]) -> None:
        self._declared[name] = f"declare {returns.text} @{name}({', '.join(a.text for a in args)})"

    @property
    def text(self) -> str:
        own = {fn.name for fn in self.functions}
        declared = [line for name, line in sorted(self._declared.items()) if name not in own]
        width = self.target.vector_bytes * 8
        attributes = (
            f'attributes #0 = {{ nounwind "prefer-vector-width"="{width}" "min-legal-vector-width"="{width}" }}'
        )
        return "\n".join([*declared, "", *(fn.text for fn in self.functions), attributes, "!0 = !{i32 1}", ""])
