"""What a kubeconfig may hold that is set through a door."""

from __future__ import annotations

from pathlib import Path

import pytest

from scheduler.executors.kubernetes import kubeconfig
from scheduler.executors.kubernetes.cluster import BadCluster
from tests.scheduler.executors.kubernetes.kubeconfigs import TOKEN
from tests.scheduler.executors.kubernetes.kubeconfigs import kubeconfig as made


def test_it_takes_one_that_holds_all_it_needs() -> None:
    given = kubeconfig.read(made())
    kubeconfig.check_context(given, "")
    kubeconfig.check_context(given, "here")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (made(user={"exec": {"command": "sh"}}), "`exec`: a program"),
        (made(user={"auth-provider": {"name": "gcp"}}), "`auth-provider`"),
        (made(user={"tokenFile": "/etc/shadow"}), r"names a file \(tokenFile\)"),
        (made(user={"client-key": "/etc/key"}), r"\(client-key\)"),
        (made(cluster={"certificate-authority": "/etc/ca"}), r"\(certificate-authority\)"),
        ("- 1", "no kubeconfig"),
        ("a: [", "is no YAML"),
        ("x" * (kubeconfig.LARGEST + 1), "at most"),
    ],
)
def test_it_refuses_what_would_run_programs_or_read_files_and_tells_no_content(text: str, said: str) -> None:
    with pytest.raises(BadCluster, match=said) as error:
        kubeconfig.read(text)
    assert TOKEN not in str(error.value) and "/etc" not in str(error.value)


def test_it_says_which_contexts_there_are() -> None:
    with pytest.raises(BadCluster, match="no context 'there'; it has here"):
        kubeconfig.check_context(kubeconfig.read(made()), "there")
    with pytest.raises(BadCluster, match="no current-context"):
        kubeconfig.check_context(kubeconfig.read(made(current="")), "")


def test_a_file_has_to_lie_in_the_folder_for_it(tmp_path: Path) -> None:
    folder = tmp_path / kubeconfig.FOLDER
    folder.mkdir()
    (folder / "gpu").write_text(made())
    (tmp_path / "elsewhere").write_text(made())
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    kubeconfig.check_path(str(folder / "gpu"), tmp_path)
    for path in ("gpu", str(tmp_path / "elsewhere"), str(folder / ".." / "elsewhere"), str(folder / "link")):
        with pytest.raises(BadCluster, match="other files are not read"):
            kubeconfig.check_path(path, tmp_path)
    with pytest.raises(BadCluster, match="there is no file"):
        kubeconfig.check_path(str(folder / "none"), tmp_path)
