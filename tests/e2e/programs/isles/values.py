"""Every type a task may take and give, through two tasks and a workflow each."""

import typing
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Annotated, Any, NamedTuple, Optional, Union

import numpy as np
import pandas as pd
from flytekit import StructuredDataset, kwtypes, task, workflow
from flytekit.types.directory import FlyteDirectory
from flytekit.types.file import FlyteFile
from flytekit.types.schema import FlyteSchema
from pydantic import BaseModel


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Inner:
    a: int = 1
    names: list[str] = field(default_factory=lambda: ["x"])


@dataclass
class Outer:
    inner: Inner = field(default_factory=Inner)
    by_key: dict[str, Inner] = field(default_factory=dict)
    maybe: Optional[float] = None
    colour: Colour = Colour.RED


class Leaf(BaseModel):
    weight: float = 0.5


class Tree(BaseModel):
    leaves: list[Leaf] = []
    title: str = "oak"


class Pair(NamedTuple):
    first: int
    second: str


class Custom:
    def __init__(self, v: int) -> None:
        self.v = v


@task
def scalars(i: int, f: float, s: str, b: bool, d: datetime, t: timedelta) -> tuple[int, float, str, bool, datetime, timedelta]:
    assert d.tzinfo is not None
    return i + 1, f * 2, s + "ü", not b, d + t, t * 2


@workflow
def scalars_wf(
    i: int = 2, f: float = 1.5, s: str = "héllo ☃", b: bool = True, d: datetime = datetime(2026, 1, 2), t: timedelta = timedelta(hours=1)
) -> tuple[int, float, str, bool, datetime, timedelta]:
    return scalars(i=i, f=f, s=s, b=b, d=d, t=t)


@task
def containers(
    xs: list[int], m: dict[str, float], nested: list[dict[str, list[str]]]
) -> tuple[list[int], dict[str, float], list[dict[str, list[str]]]]:
    return xs[::-1], {k.upper(): v for k, v in m.items()}, nested + [{"z": []}]


@workflow
def containers_wf(
    xs: list[int], m: dict[str, float], nested: list[dict[str, list[str]]]
) -> tuple[list[int], dict[str, float], list[dict[str, list[str]]]]:
    return containers(xs=xs, m=m, nested=nested)


@task
def optional(x: Optional[int] = None, u: Union[str, int] = "a") -> tuple[Optional[int], Union[str, int], str]:
    return x, u, type(u).__name__


@workflow
def optional_wf(x: Optional[int] = None, u: Union[str, int] = 5) -> tuple[Optional[int], Union[str, int], str]:
    return optional(x=x, u=u)


@task
def enums(c: Colour) -> Colour:
    return Colour.BLUE if c is Colour.RED else Colour.RED


@workflow
def enums_wf(c: Colour = Colour.RED) -> Colour:
    return enums(c=c)


@task
def data(o: Outer) -> Outer:
    o.inner.a += 1
    o.by_key["k"] = Inner(a=9)
    return o


@task
def add(a: int, b: int) -> int:
    return a + b


@task
def describe(i: Inner) -> str:
    return f"{i.a}:{','.join(i.names)}"


@workflow
def data_wf(o: Outer) -> tuple[Outer, int, str, str]:
    out = data(o=o)
    return out, add(a=out.inner.a, b=out.by_key["k"].a), describe(i=out.inner), out.inner.names[0]


@task
def grow(t: Tree) -> Tree:
    t.leaves.append(Leaf(weight=2.5))
    return t


@task
def heavy(w: float) -> float:
    return w * 2


@workflow
def pydantic_wf(t: Tree = Tree()) -> tuple[Tree, float]:
    out = grow(t=t)
    return out, heavy(w=out.leaves[0].weight)


@task
def write_file(text: str) -> FlyteFile:
    with open("out.txt", "w") as handle:
        handle.write(text)
    return FlyteFile("out.txt")


@task
def read_file(f: FlyteFile) -> str:
    with open(f) as handle:
        return handle.read()


@task
def typed_file() -> FlyteFile[typing.TypeVar("txt")]:
    p = "typed.txt"
    open(p, "w").write("typed")
    return FlyteFile(p)


@workflow
def file_wf(text: str = "conténu") -> tuple[FlyteFile, str, FlyteFile[typing.TypeVar("txt")]]:
    f = write_file(text=text)
    return f, read_file(f=f), typed_file()


@workflow
def file_in_wf(f: FlyteFile) -> str:
    return read_file(f=f)


@task
def write_dir() -> FlyteDirectory:
    import os

    os.makedirs("d/sub", exist_ok=True)
    for name in ("a.txt", "sub/b.txt"):
        open(f"d/{name}", "w").write(name)
    return FlyteDirectory("d")


@task
def list_dir(d: FlyteDirectory) -> list[str]:
    import os

    root = d.download()
    return sorted(os.path.relpath(os.path.join(p, n), root) for p, _, ns in os.walk(root) for n in ns)


@workflow
def dir_wf() -> tuple[FlyteDirectory, list[str]]:
    d = write_dir()
    return d, list_dir(d=d)


@task
def frame() -> pd.DataFrame:
    return pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]})


@task
def total(df: pd.DataFrame) -> int:
    return int(df["a"].sum())


@task
def dataset(df: pd.DataFrame) -> Annotated[StructuredDataset, kwtypes(a=int)]:
    return StructuredDataset(dataframe=df)


@task
def columns(sd: Annotated[StructuredDataset, kwtypes(a=int)]) -> list[str]:
    return [str(c) for c in sd.open(pd.DataFrame).all().columns]


@workflow
def frame_wf() -> tuple[pd.DataFrame, int, StructuredDataset, list[str]]:
    df = frame()
    sd = dataset(df=df)
    return df, total(df=df), sd, columns(sd=sd)


@task
def array(n: int) -> np.ndarray:
    return np.arange(n)


@task
def array_sum(a: np.ndarray) -> int:
    return int(a.sum())


@workflow
def numpy_wf(n: int = 5) -> tuple[np.ndarray, int]:
    a = array(n=n)
    return a, array_sum(a=a)


@task
def make_custom(v: int) -> Custom:
    return Custom(v)


@task
def read_custom(c: Custom) -> int:
    return c.v


@task
def anything(x: Any) -> Any:
    return {"got": x.v}


@workflow
def pickle_wf(v: int = 3) -> tuple[int, Any]:
    return read_custom(c=make_custom(v=v)), anything(x=make_custom(v=v))


@task
def pair() -> Pair:
    return Pair(1, "two")


@workflow
def named_wf() -> Pair:
    p = pair()
    return Pair(p.first, p.second)


named_outputs = NamedTuple("named_outputs", total=int, label=str)


@task
def named(x: int) -> named_outputs:
    return named_outputs(x, str(x))


@workflow
def named2_wf(x: int = 4) -> named_outputs:
    t, label = named(x=x)
    return named_outputs(total=t, label=label)


@task
def nothing(x: int) -> None:
    print("nothing", x)


@workflow
def none_wf(x: int = 1) -> None:
    nothing(x=x)


@task
def untyped_dict(d: dict) -> dict:
    d["more"] = [1, {"x": None}]
    return d


@workflow
def dict_wf(d: dict = {"a": 1, "b": [1.5, "x"]}) -> dict:
    return untyped_dict(d=d)


@task
def big(n: int) -> list[str]:
    return [f"{i:01000d}" for i in range(n)]


@task
def size(xs: list[str]) -> int:
    return len(xs)


@workflow
def large_wf(n: int = 3000) -> int:
    return size(xs=big(n=n))


@workflow
def large_out_wf(n: int = 12000) -> list[str]:
    return big(n=n)


@task
def schema() -> FlyteSchema[kwtypes(x=int)]:
    s = FlyteSchema()
    s.open().write(pd.DataFrame({"x": [1, 2]}))
    return s


@task
def schema_sum(s: FlyteSchema[kwtypes(x=int)]) -> int:
    return int(s.open().all()["x"].sum())


@workflow
def schema_wf() -> int:
    return schema_sum(s=schema())


@task
def many(a: int, b: int = 2, c: int = 3, d: int = 4, e: int = 5, f: int = 6, g: int = 7, h: int = 8, i: int = 9, j: int = 10) -> int:
    return a * 1000 + b + c + d + e + f + g + h + i + j


@workflow
def many_wf(a: int, b: int = 5) -> int:
    return many(a=a, b=b)


@task
def list_of_data(items: list[Inner]) -> dict[str, Inner]:
    return {str(i): item for i, item in enumerate(items)}


@task
def pick(d: dict[str, Inner]) -> int:
    return sum(x.a for x in d.values())


@workflow
def list_of_data_wf() -> tuple[dict[str, Inner], int]:
    d = list_of_data(items=[Inner(a=3), Inner(a=4)])
    return d, pick(d=d)


@workflow
def promises_wf(x: int = 2) -> tuple[list[int], dict[str, int]]:
    a = add(a=x, b=1)
    b = add(a=x, b=2)
    r, m, _ = containers2(xs=[a, b, 7], m={"a": a, "b": b})
    return r, m


@task
def containers2(xs: list[int], m: dict[str, int]) -> tuple[list[int], dict[str, int], int]:
    return xs, m, len(xs)


@dataclass
class WithFiles:
    f: FlyteFile
    d: FlyteDirectory
    df: StructuredDataset


@task
def make_with_files() -> WithFiles:
    import os

    open("f.txt", "w").write("in a dataclass")
    os.makedirs("wd", exist_ok=True)
    open("wd/x", "w").write("x")
    return WithFiles(f=FlyteFile("f.txt"), d=FlyteDirectory("wd"), df=StructuredDataset(dataframe=pd.DataFrame({"q": [1]}), file_format="parquet"))


@task
def use_with_files(w: WithFiles) -> str:
    import os

    return open(w.f).read() + ";" + ",".join(os.listdir(w.d)) + ";" + str(list(w.df.open(pd.DataFrame).all()["q"]))


@workflow
def with_files_wf() -> tuple[str, str]:
    w = make_with_files()
    return use_with_files(w=w), read_file(f=w.f)


@task
def csv_dataset() -> Annotated[StructuredDataset, "csv"]:
    return StructuredDataset(dataframe=pd.DataFrame({"q": [1, 2]}))


@task
def csv_rows(sd: StructuredDataset) -> int:
    return len(sd.open(pd.DataFrame).all())


@workflow
def csv_wf() -> int:
    return csv_rows(sd=csv_dataset())


@task
def ordered(d: OrderedDict) -> int:
    return len(d)


@task
def tuples(s: set) -> Any:
    return {"size": len(s)}


@workflow
def pickles_wf() -> Any:
    return tuples(s=make_set())


@task
def make_set() -> set:
    return {1, 2, 3}
