"""Calls of operators, and what they give: values, dtypes, shapes, gradients and classes of errors.

    python operators.py mxnet mxnet_operators.json         records them, under Python 3.10 with mxnet 1.9.1
    python operators.py kernelwise.mxnet answers.json      what the door gives now

A call is a line of code about the array x. It is evaluated ("x"), differentiated by x under weights from 0.5 to 2
("dx"), or run for what it writes into x ("x =").
"""

import importlib
import json
import os
import sys
from pathlib import Path

import numpy as np

ARRAYS = {
    "mixed": "nd.array([[1.5, -2, 0.25], [-0.5, 3, -1]])",
    "positive": "nd.array([[1.5, 2, 0.25], [0.5, 3, 1]])",
    "whole": "nd.array([[3, -4, 5], [7, 2, -9]], dtype='int32')",
    "cube": "nd.array([[[0.2, 0.8, -0.8, 0], [1.6, 1.5, -1.5, -1.2], [-1.8, -0.2, -1.9, -0.1]], "
    "[[0.6, -0.9, 0.7, 0.4], [-1.9, 0.25, -1, -0.3], [-0.9, -0.3, -0.4, 1]]])",
    "images": "nd.array(np.random.RandomState(2).uniform(-1, 1, (2, 3, 6, 5)))",
    "kernel": "nd.array(np.random.RandomState(1).uniform(-1, 1, (2, 3, 3, 3)))",
}
OTHER = "nd.array([[2, -3, 0.5], [4, 1, -0.25]])"
FUNCTIONS = (
    "abs sign rint round ceil floor trunc fix square sqrt rsqrt cbrt rcbrt exp expm1 log log10 log2 log1p sin cos tan "
    "arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh degrees radians erf gamma reciprocal relu sigmoid "
    "softsign logical_not identity BlockGrad stop_gradient negative hard_sigmoid"
)
SHAPES = (
    "expand_dims(x,axis=1)|expand_dims(x,axis=-1)|expand_dims(x,axis=5)|squeeze(x)|squeeze(x,axis=0)|swapaxes(x,0,2)|"
    "flip(x,axis=1)|reverse(x,axis=0)|transpose(x)|transpose(x,axes=(1,0,2))|tile(x,reps=(2,))|tile(x,reps=(2,1,1,1))|"
    "repeat(x,repeats=2)|repeat(x,repeats=2,axis=1)|slice_axis(x,axis=1,begin=0,end=2)|"
    "slice_axis(x,axis=-1,begin=1,end=None)|slice(x,begin=(0,1),end=(1,3))|"
    "slice(x,begin=(None,0),end=(None,3),step=(None,2))|slice(x,begin=(0,2,3),end=(2,0,None),step=(1,-1,-1))|"
    "slice_like(x,nd.zeros((1,2,2)))|slice_like(x,nd.zeros((1,2,2)),axes=(1,))|broadcast_to(nd.ones((1,3)),shape=(2,3))|"
    "broadcast_to(nd.ones((1,3)),shape=(2,0))|broadcast_to(nd.ones((2,3)),shape=(4,3))|"
    "broadcast_axis(nd.ones((1,3)),axis=0,size=2)|broadcast_like(nd.ones((1,3)),nd.ones((2,3)))|clip(x,-0.5,0.5)|"
    "split(x,num_outputs=3,axis=1)|split(x,2,axis=2)|split(x,3,axis=1,squeeze_axis=True)|split(x,5)|"
    "stack(x,x,axis=1)|stack(x,x,axis=-1)|stack()|concat(x,x,dim=2)|concat(x,x,dim=-1)|concat(x,x,dim=3)|concat()|"
    "concatenate([x,x],axis=1)|add_n(x,x,x)|cast(x,dtype='int32')|Cast(x,dtype='float64')|diag(nd.array([1,2]))|"
    "cumsum(x,axis=1)|moments(x,axes=(0,))|reshape_like(x,nd.ones((4,6)))|zeros_like(x)|ones_like(x)|where(x>0,x,-x)|"
    "eye(3)|eye(2,3,1)|arange(5,2)|arange(5,2,-1)|arange(0,1,0.1)|arange(3,dtype='int32')|full((2,),3.7,dtype='int32')|"
    "linspace(0,1,4,endpoint=False)|zeros((2,),dtype='bool')|array([1,2],dtype='foo')|broadcast_add(x,2)|sqrt()|"
    "where(nd.array([1,0]),x,-x)|sum(x,axis='a')|relu(x,out=x)|split_v2(x,2,axis=2)|split_v2(x,(1,3),axis=2)"
)
LAYERS = (
    "softmax(x)|softmax(x,axis=1)|softmax(x,temperature=2)|softmin(x)|SoftmaxActivation(x,mode='channel')|"
    "L2Normalization(x)|L2Normalization(x,mode='channel')|L2Normalization(x,mode='spatial')|smooth_l1(x,scalar=2)|"
    "Activation(x,act_type='relu')|Activation(x,act_type='sigmoid')|Activation(x,act_type='tanh')|"
    "Activation(x,act_type='softrelu')|Activation(x,act_type='softsign')|Activation(x)|Activation(x,act_type='foo')|"
    "LeakyReLU(x)|LeakyReLU(x,act_type='leaky',slope=0.1)|LeakyReLU(x,act_type='elu',slope=0.3)|"
    "LeakyReLU(x,act_type='gelu')|LeakyReLU(x,nd.array([0.1,0.2,0.3]),act_type='prelu')|"
    "LayerNorm(x,nd.ones((4,)),nd.zeros((4,)))|InstanceNorm(x,nd.ones((3,)),nd.zeros((3,)))|"
    "BatchNorm(x,nd.ones((3,)),nd.zeros((3,)),nd.zeros((3,)),nd.ones((3,)))|"
    "BatchNorm(x,2*nd.ones((3,)),nd.zeros((3,)),nd.zeros((3,)),nd.ones((3,)),fix_gamma=False)|"
    "batch_dot(x,x,transpose_b=True)|batch_dot(x,x)|dot(x,nd.ones((4,2)))|dot(x,nd.ones((2,4)),transpose_b=True)|"
    "dot(x,nd.ones((2,3)),transpose_a=True)|dot(x,nd.ones((3,)))|"
    "FullyConnected(x,nd.ones((2,12)),nd.ones((2,)),num_hidden=2)|"
    "FullyConnected(x,nd.ones((2,4)),nd.ones((2,)),num_hidden=2,flatten=False)|"
    "FullyConnected(x,nd.ones((2,12)),num_hidden=2,no_bias=True)|"
    "FullyConnected(x,nd.ones((2,13)),nd.ones((2,)),num_hidden=2)|FullyConnected(x,nd.ones((2,12)),num_hidden=2)|"
    "pick(x,nd.zeros((2,3)))|pick(x,nd.ones((2,4)),axis=1)|pick(x,nd.ones((2,3)),keepdims=True)|"
    "take(x,nd.array([1,0,0]))|take(x,nd.array([[1,5],[-1,0]]),axis=1)|take(x,nd.array([[1,5],[-1,0]]),axis=1,mode='wrap')|"
    "one_hot(nd.array([0,2,5,-1]),3)|one_hot(nd.array([[0,2]]),3,on_value=2,off_value=-1)|"
    "Embedding(nd.array([[0,2],[1,7]]),nd.arange(6).reshape((3,2)),input_dim=3,output_dim=2)|"
    "gather_nd(x,nd.array([[0,1],[1,2]]))|scatter_nd(nd.array([5,6]),nd.array([[0,1],[1,2]]),shape=(2,3))|"
    "SoftmaxOutput(nd.array([[1,2],[3,0]]),nd.array([0,1]))|softmax_cross_entropy(nd.array([[1,2],[3,0]]),nd.array([0,1]))|"
    "argsort(x)|argsort(x,axis=1,is_ascend=False)|topk(x)|topk(x,k=2)|topk(x,k=2,axis=1,ret_typ='value')|"
    "topk(x,k=2,ret_typ='both')|topk(x,k=2,ret_typ='mask')|topk(x,k=2,is_ascend=True)|topk(x,k=9)|"
    "Pooling(x,kernel=(2,),pool_type='max')|Pooling(x,kernel=(2,),pool_type='avg',stride=(2,))|"
    "Pooling(x,kernel=(2,),pool_type='sum')|Pooling(x,kernel=(2,),pool_type='lp',p_value=2)|Pooling(x,kernel=(2,2))|"
    "Pooling(x)|Pooling(x,global_pool=True,pool_type='max',kernel=(2,))|LRN(x.expand_dims(0),nsize=3)"
)
RESHAPES = (
    "(0,-1)|(-1,)|(-2,)|(-3,4)|(-4,1,2,-2)|(2,-4,3,-1,4)|(-4,-1,1,-2)|(-3,-2)|(0,0,-1)|(-1,0)|(24,)|(3,-1)|(-1,-3)|"
    "(0,0,0,0)|(-5,)|(1,24)|(-2,-2)|(0,-2,1)"
)
KEYS = (
    "0|-1|1:|0:1|::2|::-1|1,2|1,1:3|0,1,2|0,1,1:|0,1,:2|0,:2|0,:,1|0,1:,:|...,1|1,...|0,...,2|None|None,0|0,None|"
    "0,None,1|...,None|:,None|-3|2|0,3|0,1,2,3|...|()|nd.array([0,1])|[1,0]|0,[1,2]|[0,1],[1,2]|:,[0,2]|:,:,[0,2]|"
    "0,:,[0,2]|[0,1],:,[1,2]|np.array([1])|np.array([0,1]),1|np.int32(1)|np.int64(-1)|slice(0,1)|slice(None)|1.0|'a'|"
    "::-1,0|0,::-1|0,2:0:-1|0,::2|0,:,::2|:,::2,::3|1:2,1:2,1:2|1:2,:,:|0:1,0:2|0:2,0:3,0:4|1,2:3|1,0:1,2:4"
)
CONVOLUTIONS = (
    "kernel=(3,3),num_filter=2|kernel=(3,3),num_filter=2,pad=(1,1)|kernel=(3,3),num_filter=2,stride=(2,2),pad=(1,1)|"
    "kernel=(3,3),num_filter=2,dilate=(2,2),pad=(2,1)|kernel=(3,3),num_filter=2,stride=(2,1)"
)
TRANSPOSED = (
    "kernel=(3,3),num_filter=2|kernel=(3,3),num_filter=2,pad=(1,1),stride=(2,2)|"
    "kernel=(3,3),num_filter=2,pad=(1,1),stride=(2,2),adj=(1,1)|"
    "kernel=(3,3),num_filter=2,stride=(2,2),target_shape=(12,10)|kernel=(3,3),num_filter=2,no_bias=False|"
    "kernel=(3,3),num_filter=2,stride=(2,2),adj=(2,2)"
)
POOLS = (
    "pool_type='max',kernel=(2,2),stride=(2,2)|pool_type='max',kernel=(3,3),pad=(1,1)|"
    "pool_type='max',kernel=(3,2),stride=(2,2),pooling_convention='full'|pool_type='avg',kernel=(3,3),stride=(2,2)|"
    "pool_type='avg',kernel=(3,3),pad=(1,1),stride=(2,1)|pool_type='avg',kernel=(3,3),pad=(1,1),count_include_pad=False|"
    "pool_type='avg',kernel=(3,2),stride=(2,2),pad=(1,0),pooling_convention='full'|pool_type='avg',global_pool=True|"
    "pool_type='sum',kernel=(2,3)|pool_type='max',kernel=(9,9)"
)


def calls():
    """(what is asked, the code, the array x is) of every call."""
    for name in FUNCTIONS.split():
        for array in ("mixed", "positive", "whole"):
            yield "x", f"nd.{name}(x)", array
        yield "dx", f"nd.{name}(x)", "positive"
    yield from reductions()
    yield from arithmetic()
    for code in (SHAPES + "|" + LAYERS).split("|"):
        yield "x", f"nd.{code}", "cube"
        if "x" in code.partition("(")[2] and not code.startswith(("arg", "topk", "cast", "Soft", "moments", "relu")):
            yield "dx", f"nd.{code}", "cube"
    for codes in RESHAPES.split("|"):
        yield "x", f"x.reshape({codes})", "cube"
        yield "x", f"x.reshape({codes}, reverse=True)", "cube"
    for key in KEYS.split("|"):
        yield "x", f"x[{key}]", "cube"
        yield "dx", f"x[{key}]", "cube"
        for write in (
            "[:] = 0",
            " = 7",
            " = nd.array([9])",
            " = [5]",
            " = np.float64(2.5)",
            " = nd.arange(4)",
            " += 1",
        ):
            yield "x =", f"x[{key}]{write}", "cube"
        yield "x =", f"x[{key}] = x[{key}] * 2", "cube"
    for options in CONVOLUTIONS.split("|"):
        for code, array in (
            (f"nd.Convolution(x, {ARRAYS['kernel']}, nd.array([0.5, -1]), {options})", "images"),
            (f"nd.Convolution({ARRAYS['images']}, x, nd.array([0.5, -1]), {options})", "kernel"),
        ):
            yield "x", code, array
            yield "dx", code, array
    turned = "nd.array(np.random.RandomState(1).uniform(-1, 1, (3, 2, 3, 3)))"
    for options in TRANSPOSED.split("|"):
        yield "x", f"nd.Deconvolution(x, {turned}, {options})", "images"
        yield "dx", f"nd.Deconvolution(x, {turned}, {options})", "images"
    for options in POOLS.split("|"):
        yield "x", f"nd.Pooling(x, {options})", "images"
        yield "dx", f"nd.Pooling(x, {options})", "images"


def reductions():
    """Sums and their like along every choice of axes."""
    for name in ("sum", "mean", "prod", "nansum", "nanprod", "max", "min", "norm", "argmax", "argmin"):
        yield "x", f"nd.{name}(x)", "mixed"
        for options in ("", "axis=0", "axis=1", "axis=(0, 2)", "axis=-1", "axis=1, keepdims=True", "axis=5", "axis=-4"):
            if name.startswith("arg") and ("(" in options or "5" in options or "4" in options):
                continue
            yield "x", f"nd.{name}(x, {options})", "cube"
            if not name.startswith("arg"):
                yield "dx", f"nd.{name}(x, {options})", "cube"
        if name not in ("norm", "argmax", "argmin"):
            yield "x", f"nd.{name}(x)", "whole"
            yield "x", f"nd.{name}(x, axis=1, exclude=True)", "cube"
            yield "x", f"nd.{name}(x, axis=())", "cube"


def arithmetic():
    """Operators between arrays, numbers and dtypes."""
    for sign in ("+", "-", "*", "/", "%", "**", "==", "!=", ">", ">=", "<", "<="):
        for other in (
            OTHER,
            "2",
            "0.3",
            "-1.5",
            "nd.array([1, 2, 3])",
            "nd.array([[2], [3]])",
            "True",
            "nd.array([2])",
        ):
            yield "x", f"x {sign} {other}", "mixed"
            if other != "True":
                yield "dx", f"x {sign} {other}", "positive"
        for number in ("2", "0.3", "-1.5"):
            yield "x", f"{number} {sign} x", "mixed"
        for number in ("2", "2.7", "-3"):
            yield "x", f"x {sign} {number}", "whole"
            yield "x", f"{number} {sign} x", "whole"
        for dtype in ("float64", "float16", "uint8", "int8", "int64"):
            left, right = (f"nd.array([[{row}]], dtype='{dtype}')" for row in ("1, 2, 3", "3, 2, 2"))
            yield "x", f"{left} {sign} {right}", "mixed"
            yield "x", f"{left} {sign} 2", "mixed"
    for name in ("maximum", "minimum", "hypot", "power", "modulo"):
        for code in (f"nd.{name}(x, {OTHER})", f"nd.{name}({OTHER}, x)", f"nd.{name}(x, 0.5)", f"nd.{name}(0.5, x)"):
            yield "x", code, "mixed"
            yield "dx", code, "positive"


def run(asked, code, array, space):
    """What the call gives, as plain data."""
    nd, autograd = space["nd"], space["autograd"]
    try:
        x = space["x"] = eval(ARRAYS[array], space)
        if asked == "x =":
            exec(code, space)
            found = x
        elif asked == "dx":
            x.attach_grad()
            with autograd.record():
                y = eval(code, space)
            if isinstance(y, list):
                autograd.backward(y)
            else:
                y.backward(nd.array(np.linspace(0.5, 2, y.size)).reshape(y.shape) if y.dtype == np.float32 else None)
            found = x.grad
        else:
            found = eval(code, space)
        nd.waitall()
        return plain(found)
    except Exception as error:
        return type(error).__name__


def plain(found):
    """An array as [dtype, shape, values]."""
    if isinstance(found, (list, tuple)):
        return [plain(one) for one in found]
    numbers = found.asnumpy()
    digits = {"float32": 8, "float16": 5}.get(numbers.dtype.name, 16)
    values = [int(v) if numbers.dtype.kind in "iub" else f"{float(v):.{digits}g}" for v in numbers.ravel()]
    return [numbers.dtype.name, list(numbers.shape), values]


def main(module, target):
    """All calls, each line of the file one of them. MXNet dies of some: those are left out, and it is started again."""
    asked = list(dict.fromkeys(calls()))
    path = Path(target)
    done = len(path.read_text().splitlines()) if module == "mxnet" and path.exists() else 0
    space = {"np": np, "nd": importlib.import_module(f"{module}.ndarray")}
    space["autograd"] = importlib.import_module(f"{module}.autograd")
    with path.open("a" if done else "w") as out:
        for call in asked[done:]:
            if module == "mxnet" and os.fork():
                _, status = os.wait()
                if status:
                    out.write(json.dumps([*call, None]) + "\n")
                    out.flush()
                continue
            out.write(json.dumps([*call, run(*call, space)]) + "\n")
            out.flush()
            if module == "mxnet":
                os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
