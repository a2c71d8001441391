"""A rank of a task that mpirun started: flytekit's command, whose outputs are those of rank 0.

Run as a program of its own: `python mpi_rank.py pyflyte-execute --output-prefix ...`.
"""

from __future__ import annotations

import os
import sys
import tempfile

RANKS = ("OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "HOROVOD_RANK")  # Open MPI, PMIx, MPICH, Horovod


def words(args: list[str]) -> list[str]:
    """Others than rank 0 write where nobody looks: all of them have results, and one name."""
    rank = next((os.environ[name] for name in RANKS if name in os.environ), "0")
    if rank == "0" or "--output-prefix" not in args:
        return args
    at = args.index("--output-prefix") + 1
    return [*args[:at], tempfile.mkdtemp(prefix=f"rank-{rank}-"), *args[at + 1 :]]


if __name__ == "__main__":
    del sys.path[0]  # this folder, which has modules of names that others have too
    from flytekit.bin import entrypoint

    command = words(sys.argv[1:])
    os.environ["FLYTE_FAIL_ON_ERROR"] = "true"  # a rank that failed ends all: mpirun looks at exit codes only
    sys.argv = ["entrypoint.py", *command]
    entrypoint._pass_through()
