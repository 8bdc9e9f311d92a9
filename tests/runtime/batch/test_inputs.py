"""Which inputs folders, globs and lists name, and what each is called."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samotion.engines.errors import InputError
from samotion.runtime.batch.inputs import Input, Shard, gather, read_list


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return root


def names(inputs: list[Input]) -> list[str]:
    return [item.name for item in inputs]


def test_a_folder_of_videos_is_searched_with_what_is_below_it(tmp_path: Path) -> None:
    touch(tmp_path, "b10.mp4", "b2.MKV", "deep/b2.mov", "frames/0.png", "notes.txt", ".hidden.mp4", "deep/er/c.ts")
    found = gather([str(tmp_path)], False, {})
    assert [Path(item.path).relative_to(tmp_path).as_posix() for item in found] == [
        "b2.MKV",
        "b10.mp4",
        "deep/b2.mov",
        "deep/er/c.ts",
        "frames",
    ]
    assert names(found) == ["b2", "b10", "b2-2", "c", "frames"]


def test_a_tree_may_be_kept(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.mp4", "b/x.mp4", "b/x.v2.mp4", "c/0.jpg")
    assert names(gather([str(tmp_path)], True, {})) == ["a/x", "b/x", "b/x.v2", "c"]


def test_a_folder_of_images_is_one_input(tmp_path: Path) -> None:
    touch(tmp_path, "0.png", "film.mp4")
    assert [item.path for item in gather([str(tmp_path)], False, {})] == [str(tmp_path)]


def test_a_glob_is_expanded_unless_there_is_a_file_of_that_name(tmp_path: Path) -> None:
    touch(tmp_path, "shot 1.mp4", "shot 2.mp4", "x/shot 3.mp4", "[1].mp4")
    assert names(gather([f"{tmp_path}/shot*.mp4"], False, {})) == ["shot 1", "shot 2"]
    assert names(gather([f"{tmp_path}/**/shot*.mp4"], False, {})) == ["shot 1", "shot 2", "shot 3"]
    assert names(gather([f"{tmp_path}/[1].mp4"], False, {})) == ["[1]"]
    with pytest.raises(InputError, match="no video and no folder fits this pattern"):
        gather([f"{tmp_path}/*.mov"], False, {})


@given(st.lists(st.sampled_from(["a/dog.mp4", "b/Dog.mp4", "dog-2.mp4", "c/dog.mov", "cat.mp4", "dog-2-2.avi"])))
def test_names_never_collide_and_stay_from_run_to_run(paths: list[str]) -> None:
    distinct = list(dict.fromkeys(paths))
    first = gather(distinct, False, {})
    assert len({item.name.casefold() for item in first}) == len(distinct)
    known = {item.path: item.name for item in first}
    again = gather(["new/dog.mp4", *reversed(distinct)], False, known)
    assert {item.path: item.name for item in again[1:]} == known
    assert again[0].name.casefold() not in {name.casefold() for name in known.values()}


@given(st.integers(0, 50), st.integers(1, 9))
def test_shards_share_out_every_input_once(count: int, shards: int) -> None:
    inputs = [Input(str(number), str(number)) for number in range(count)]
    taken = [item for number in range(shards) for item in Shard(number + 1, shards).of(inputs)]
    assert sorted(taken, key=lambda item: int(item.path)) == inputs


def test_a_list_names_one_input_a_line(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_bytes(b"a b.mp4\n\n/x/caf\xe9.mp4\r\n")
    assert read_list(file) == ["a b.mp4", "/x/caf\udce9.mp4"]
    file.write_text("\n\n")
    with pytest.raises(InputError, match="lists no input"):
        read_list(file)
    with pytest.raises(InputError, match="cannot be read"):
        read_list(tmp_path / "none")
