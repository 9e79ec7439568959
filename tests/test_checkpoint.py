"""Checkpoints: what is read is what was saved, whatever happens to disk, process and folder meanwhile."""

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from samples import restored

from rnncli import durable
from rnncli.errors import CheckpointError
from rnncli.training import checkpoint
from rnncli.training.checkpoint import CheckpointWriter, check_folder, resumable, save_model
from rnncli.training.restoring import open_checkpoint
from rnncli.training.settings import Saving
from rnncli.training.stored import METADATA, metadata_digest, read_metadata, saved_steps, stored

LIKE = {"kernel": jnp.ones((2, 3)), "count": jnp.array(0, jnp.int32)}


def items(number: int) -> dict:
    return {"best": {"kernel": jnp.full((2, 3), float(number)), "count": jnp.array(number, jnp.int32)}}


def saved(folder: Path, *numbers: int) -> Path:
    """A checkpoint whose steps hold these numbers; as of a training that was killed, where there are several."""
    writer = CheckpointWriter(Saving(checkpoint=folder))
    for number in numbers or (1,):
        writer.save({"task": "test", "number": number, "data": "d", "config": {}}, **items(number))
    if len(numbers) < 2:
        writer.close()
    writer._lock.release()
    return folder


def number_in(folder: Path) -> int:
    opened = open_checkpoint(folder, "test")
    read = opened.restore("best", LIKE)
    assert (np.asarray(read["kernel"]) == int(read["count"])).all()
    assert opened.metadata["number"] == int(read["count"])
    return int(read["count"])


def test_a_checkpoint_moves_with_its_folder(tmp_path: Path) -> None:
    writer = CheckpointWriter(Saving(checkpoint=tmp_path / "here"))
    writer.save({"task": "test", "note": "ä"}, **items(1))
    writer.save({"task": "test", "note": "ö"}, **items(2))
    writer.close()
    shutil.move(tmp_path / "here", tmp_path / "there")
    assert read_metadata(tmp_path / "there", "test")["note"] == "ö"
    read = restored(tmp_path / "there", "test", "best", LIKE)
    jax.tree.map(np.testing.assert_array_equal, read, items(2)["best"])
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["2"]


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="already holds a checkpoint; go on with `resume`"):
        CheckpointWriter(Saving(checkpoint=saved(tmp_path / "run")))
    CheckpointWriter(Saving(checkpoint=tmp_path / "run", overwrite=True)).close()
    other = tmp_path / "photos"
    (other / "7").mkdir(parents=True)
    with pytest.raises(CheckpointError, match="no checkpoint folder: it holds '7'"):
        CheckpointWriter(Saving(checkpoint=other, overwrite=True))
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="is a file"):
        CheckpointWriter(Saving(checkpoint=tmp_path / "file"))


def test_other_files_stay_and_what_a_kill_left_goes(tmp_path: Path) -> None:
    folder = saved(tmp_path / "run")
    (folder / "log.jsonl").touch()
    for left in (".saving-2", ".saving-2.orbax-checkpoint-tmp", ".0.removed"):
        (folder / left / "best").mkdir(parents=True)
    assert read_metadata(folder, "test")["task"] == "test"
    CheckpointWriter(Saving(checkpoint=folder, resume=True)).close()
    assert sorted(path.name for path in folder.iterdir()) == ["1", "log.jsonl"]


def test_two_steps_are_kept_while_training_and_one_at_its_end(tmp_path: Path) -> None:
    writer = CheckpointWriter(Saving(checkpoint=tmp_path / "run"))
    names = []
    for number in range(4):
        writer.save({"task": "test"}, **items(number))
        names.append(sorted(step.name for step in saved_steps(tmp_path / "run")))
    assert names == [["1"], ["1", "2"], ["2", "3"], ["3", "4"]]
    writer.close()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["4"]


def test_what_is_replaced_is_no_step_to_fall_back_to(tmp_path: Path) -> None:
    folder = saved(tmp_path / "run", 1)
    writer = CheckpointWriter(Saving(checkpoint=folder, overwrite=True))
    assert number_in(folder) == 1, "until there is another"
    writer.save({"task": "test", "number": 2}, **items(2))
    assert [step.name for step in saved_steps(folder)] == ["2"]
    writer.close()


def test_what_is_missing_or_damaged_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint in .*; make one with 'rnncli test train"):
        read_metadata(tmp_path / "nowhere", "test")
    folder = saved(tmp_path / "run")
    with pytest.raises(CheckpointError, match="holds a checkpoint of test, not of charlm"):
        read_metadata(folder, "charlm")
    with pytest.raises(CheckpointError, match="has no state to go on from"):
        restored(folder, "test", "state", LIKE)
    with pytest.raises(CheckpointError, match=r"damaged: kernel is float32\[2, 3\], not float32\[3, 3\]"):
        restored(folder, "test", "best", {**LIKE, "kernel": jnp.ones((3, 3))})
    with pytest.raises(CheckpointError, match="damaged: bias is in its best or in its configuration alone"):
        restored(folder, "test", "best", {**LIKE, "bias": jnp.ones(3)})
    metadata = next(folder.glob(f"*/{METADATA}"))
    content = json.loads(metadata.read_text())
    for schema, message in ((99, "newer rnncli"), (1, "earlier rnncli; train anew"), ("x", "cannot be read")):
        content["custom_metadata"]["schema"] = schema
        metadata.write_text(json.dumps(content))
        with pytest.raises(CheckpointError, match=message):
            read_metadata(folder, "test")
    metadata.write_text("{")
    with pytest.raises(CheckpointError, match="damaged"):
        read_metadata(folder, "test")


def flipped(file: Path, bit: int) -> None:
    content = bytearray(file.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    file.write_bytes(content)


def bits(folder: Path, count: int) -> list[tuple[Path, int]]:
    """Bits in all files of the latest step, spread over them evenly."""
    step = max(saved_steps(folder), key=lambda step: int(step.name))
    files = sorted(path for path in step.rglob("*") if path.is_file() and path.stat().st_size)
    draw = np.random.default_rng(0)
    chosen = [files[index % len(files)] for index in range(count)]
    return [(file.relative_to(folder), int(draw.integers(8 * file.stat().st_size))) for file in chosen]


@pytest.mark.parametrize("count", [40, pytest.param(1200, marks=pytest.mark.slow)])
def test_a_flipped_bit_is_refused_or_was_in_nothing_that_is_read(tmp_path: Path, count: int) -> None:
    whole = saved(tmp_path / "whole", 7)
    refused = 0
    for file, bit in bits(whole, count):
        shutil.copytree(whole, tmp_path / "copy")
        flipped(tmp_path / "copy" / file, bit)
        try:
            assert number_in(tmp_path / "copy") == 7
        except CheckpointError as error:
            assert "\n" not in str(error)
            assert "damaged" in str(error) or "rnncli" in str(error)
            refused += 1
        shutil.rmtree(tmp_path / "copy")
    assert refused > count / 4


def test_a_flipped_bit_of_an_array_or_of_the_metadata_is_told_and_the_step_before_is_used(tmp_path: Path) -> None:
    folder = saved(tmp_path / "run", 1, 2)
    (metadata,) = folder.glob(f"2/{METADATA}")
    metadata.write_text(metadata.read_text().replace('"number": 2', '"number": 3'))
    with pytest.warns(UserWarning, match="not what was saved; what was saved before it is used"):
        assert number_in(folder) == 1
    with pytest.warns(UserWarning):
        assert stored(folder)["number"] == 1
    shutil.rmtree(folder / "1")
    with pytest.raises(CheckpointError, match="is damaged: _CHECKPOINT_METADATA is not what was saved"):
        number_in(folder)
    content = json.loads(metadata.read_text())
    content["custom_metadata"]["digests"]["best"]["digest"] = "0" * 32
    content["custom_metadata"]["digests"]["metadata"] = metadata_digest(content["custom_metadata"])
    metadata.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="the arrays of best are not those that were saved"):
        number_in(folder)


def test_a_training_goes_on_from_the_step_before_one_that_is_damaged(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    writer = CheckpointWriter(Saving(checkpoint=folder))
    for number in (1, 2):
        writer.save({"task": "test", "number": number, "data": "d", "config": {}}, state=items(number)["best"])
    writer._lock.release()
    for file in (folder / "2" / "state").rglob("*"):
        if file.is_file():
            file.write_bytes(b"")
    with pytest.warns(UserWarning, match="damaged"):
        found = resumable(folder, "test", {"data": "d", "config": {}})
    assert found is not None
    assert int(found.restore("state", LIKE)["count"]) == found.metadata["number"] == 1


# what happens on the disk, in its order


class Stop(BaseException):
    """The machine stops."""


class Disk:
    """Records syncs, renames and removals, and stops before one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, stop_before: int | None = None):
        self.done: list[tuple[str, Path]] = []
        self._stop = stop_before
        # Orbax' own renames are within the hidden folder
        monkeypatch.setattr(durable, "_sync", self._recorded("sync", durable._sync))
        monkeypatch.setattr(Path, "replace", self._recorded("rename", Path.replace))
        monkeypatch.setattr(durable, "remove_folder", self._recorded("remove", durable.remove_folder))
        monkeypatch.setattr(checkpoint, "remove_folder", durable.remove_folder)

    def _recorded(self, name: str, function: Callable) -> Callable:
        def call(path: Path, *others: Path):
            if self._stop is not None and len(self.done) >= self._stop:
                raise Stop
            result = function(path, *others)
            self.done.append((name, Path(others[-1] if others else path)))
            return result

        return call


def test_all_is_on_the_disk_before_it_has_its_name_and_before_anything_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved(tmp_path / "run", 1, 2)
    writer = CheckpointWriter(Saving(checkpoint=folder, resume=True))
    with monkeypatch.context() as patched:
        disk = Disk(patched)
        writer.save({"task": "test", "number": 3}, **items(3))
    kinds = [name for name, _ in disk.done]
    renamed = kinds.index("rename")
    assert kinds[:renamed] == ["sync"] * renamed
    hidden = folder / ".saving-3"
    synced = {path.relative_to(hidden) for _, path in disk.done[:renamed]}
    there = {path.relative_to(folder / "3") for path in (folder / "3").rglob("*")} | {Path()}
    assert synced == there, "every file and every folder"
    assert disk.done[renamed:] == [("rename", folder / "3"), ("sync", folder), ("remove", folder / "1")]
    writer.close()


def test_a_stop_between_any_two_of_them_leaves_a_whole_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = []
    for stop in itertools.count():
        folder = saved(tmp_path / str(stop), 1, 2)
        writer = CheckpointWriter(Saving(checkpoint=folder, resume=True))
        with monkeypatch.context() as patched:
            Disk(patched, stop)
            try:
                writer.save({"task": "test", "number": 3, "data": "d", "config": {}}, **items(3))
            except Stop:
                ended = False
            else:
                ended = True
        writer._lock.release()  # as the kernel does
        outcomes.append(number_in(folder))
        CheckpointWriter(Saving(checkpoint=folder, resume=True)).close()
        left = {path.name for path in folder.iterdir()}
        assert {str(outcomes[-1])} <= left <= {"1", "2", "3"}, "and nothing is left of it"
        if ended:
            break
    assert sorted(outcomes) == outcomes
    assert set(outcomes) == {2, 3}
    assert len(outcomes) > 8


def test_a_file_is_synced_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rnncli.files import whole_file

    disk = Disk(monkeypatch)
    with whole_file(tmp_path / "a.txt") as path:
        path.write_text("a")
    assert [name for name, _ in disk.done] == ["sync", "rename", "sync"]
    assert disk.done[1:] == [("rename", tmp_path / "a.txt"), ("sync", tmp_path)]


# one writer, any number of readers

HOLD = """
import sys
from pathlib import Path
from rnncli.training.checkpoint import CheckpointWriter
from rnncli.training.settings import Saving
writer = CheckpointWriter(Saving(checkpoint=Path(sys.argv[1]), resume=True))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_folder_in_use_is_refused_with_the_process_and_death_frees_it(tmp_path: Path) -> None:
    folder = saved(tmp_path / "run")
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        for claim in (CheckpointWriter, check_folder):
            with pytest.raises(CheckpointError, match=f"is being written by process {process.pid}; wait for its end"):
                claim(Saving(checkpoint=folder, resume=True))
        assert number_in(folder) == 1, "readers need no lock"
        process.kill()
        process.wait()
    CheckpointWriter(Saving(checkpoint=folder, resume=True)).close()
    assert [path.name for path in folder.iterdir()] == ["1"]


def test_a_folder_that_was_made_for_nothing_goes(tmp_path: Path) -> None:
    CheckpointWriter(Saving(checkpoint=tmp_path / "a" / "b")).close()
    assert not (tmp_path / "a" / "b").exists()


SAVE = """
import itertools, sys
from pathlib import Path
import test_checkpoint as own
from rnncli.training.checkpoint import CheckpointWriter
from rnncli.training.settings import Saving
writer = CheckpointWriter(Saving(checkpoint=Path(sys.argv[1]), resume=True))
print("begun", flush=True)
for number in itertools.count(2):
    writer.save({"task": "test", "number": number}, **own.items(number))
"""


@pytest.mark.parametrize("reads", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_readers_read_a_whole_step_while_another_process_saves(tmp_path: Path, reads: int) -> None:
    folder = saved(tmp_path / "run")
    command = [sys.executable, "-c", SAVE, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        numbers = [number_in(folder) for _ in range(reads)]  # fails where it reads half, or of two steps
        assert process.poll() is None
        process.kill()
    assert numbers == sorted(numbers)
    assert len(set(numbers)) > 3


# disks that are full or fail


def test_a_disk_that_is_full_is_told_and_what_was_saved_stays(tmp_path: Path) -> None:
    folder = saved(tmp_path / "run")
    program = """
import resource, signal, sys
from pathlib import Path
import jax.numpy as jnp
from rnncli.errors import CheckpointError
from rnncli.training.checkpoint import CheckpointWriter
from rnncli.training.settings import Saving
import numpy as np
writer = CheckpointWriter(Saving(checkpoint=Path(sys.argv[1]), resume=True))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
noise = np.random.default_rng(0).normal(size=(100, 4000)).astype("float32")
try:
    writer.save({"task": "test"}, best={"kernel": jnp.asarray(noise)})
except CheckpointError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=True)
    assert done.stdout.count("\n") == 1
    assert "File too large; a checkpoint takes 1.6 MB; what was saved before is whole" in done.stdout
    assert number_in(folder) == 1
    assert not list(folder.glob(".saving*"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_turns_read_only_is_told(tmp_path: Path) -> None:
    writer = CheckpointWriter(Saving(checkpoint=saved(tmp_path / "run"), resume=True))
    (tmp_path / "run").chmod(0o500)
    with pytest.raises(CheckpointError, match="Permission denied"):
        writer.save({"task": "test"}, **items(2))
    (tmp_path / "run").chmod(0o700)
    assert number_in(tmp_path / "run") == 1


def test_a_truncated_file_is_told_in_one_line_or_was_not_needed(tmp_path: Path) -> None:
    whole = saved(tmp_path / "whole", 5)
    refused = 0
    for number, file in enumerate(sorted(path for path in whole.rglob("*") if path.is_file())):
        folder = tmp_path / str(number)
        shutil.copytree(whole, folder)
        (folder / file.relative_to(whole)).write_bytes(b"")
        try:
            assert number_in(folder) == 5
        except CheckpointError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused >= 3


def test_an_exported_file_is_checked_like_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    checkpoint.export_model(path, {"task": "test", "number": 3}, **items(3))
    assert number_in(path) == 3
    for bit in (8 * (path.stat().st_size - 3) + 1, 8 * 60):
        content = path.read_bytes()
        flipped(path, bit)
        with pytest.raises(CheckpointError, match="damaged"):
            number_in(path)
        path.write_bytes(content)


def test_saving_a_model_frees_its_folder(tmp_path: Path) -> None:
    save_model(tmp_path / "m", {"task": "test", "number": 1}, **items(1))
    assert [path.name for path in (tmp_path / "m").iterdir()] == ["1"]
    save_model(tmp_path / "m", {"task": "test", "number": 2}, overwrite=True, **items(2))
    assert number_in(tmp_path / "m") == 2


def test_a_training_that_saved_nothing_removes_nothing(tmp_path: Path) -> None:
    folder = saved(tmp_path / "run", 1, 2)
    for file in (folder / "2" / "best").rglob("*"):
        if file.is_file():
            file.write_bytes(b"")
    for saving in (Saving(checkpoint=folder, resume=True), Saving(checkpoint=folder, overwrite=True)):
        CheckpointWriter(saving).close()
        with pytest.warns(UserWarning, match="damaged"):
            assert number_in(folder) == 1
    writer = CheckpointWriter(Saving(checkpoint=folder, resume=True))
    writer.go_on_from(folder / "1")
    writer.save({"task": "test", "number": 3}, **items(3))
    assert sorted(step.name for step in saved_steps(folder)) == ["1", "3"], "two that are whole"
    writer.close()


def test_a_lock_that_was_removed_is_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = durable.Lock(tmp_path)
    taken = durable.fcntl.flock  # pyright: ignore[reportOptionalMemberAccess]

    def after_release(file: object, how: int) -> None:
        monkeypatch.setattr(durable.fcntl, "flock", taken)
        first.release()
        taken(file, how)  # pyright: ignore

    monkeypatch.setattr(durable.fcntl, "flock", after_release)
    second = durable.Lock(tmp_path)
    with pytest.raises(BlockingIOError):
        durable.Lock(tmp_path)
    second.release()


def test_quiet_ends_with_the_last_thread() -> None:
    import warnings

    from rnncli.training.orbax import quiet

    before = list(warnings.filters)
    one, other = quiet(), quiet()
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)
    assert warnings.filters != before
    other.__exit__(None, None, None)
    assert list(warnings.filters) == before
