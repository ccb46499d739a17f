"""Documents lie in a closed directory while they are read, and none is left behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ingest_assets.scratch import Scratch
from ingest_assets.settings import Settings

_KILLED = """
import os, signal, sys
from pathlib import Path
from ingest_assets.scratch import Scratch
with Scratch(Path(sys.argv[1])).folder() as folder:
    (folder / "document").write_bytes(b"in the clear")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_removed_at_the_next_start(tmp_path: Path) -> None:
    parent = tmp_path / "data" / "scratch"
    with_work = Scratch(parent)
    with with_work.folder() as folder:
        (folder / "document").write_bytes(b"being read")
        subprocess.run([sys.executable, "-c", _KILLED, str(parent)], check=False)
        assert len(list(parent.rglob("document"))) == 2
        Scratch(parent).close()
        assert list(parent.rglob("document")) == [folder / "document"]
    with_work.close()
    assert [path.name for path in parent.iterdir()] == ["lock"]


def test_it_is_closed_to_others(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path / "scratch")
    with scratch.folder() as folder:
        modes = {path: path.stat().st_mode & 0o777 for path in (tmp_path / "scratch", folder)}
    assert set(modes.values()) == {0o700}
    scratch.close()


def test_it_lies_below_the_data_directory_unless_a_setting_names_another(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    assert Settings(_env_file=None, data_dir=data_dir).scratch_dir == str(data_dir / "scratch")
    assert Settings(_env_file=None, data_dir=data_dir, scratch_dir="/ram").scratch_dir == "/ram"
