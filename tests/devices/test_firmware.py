"""Images on the shelf: what is taken in, and which one a device gets."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import cli
from app.devices.firmware import FirmwareShelf
from app.devices.image import ImageInfo, read_image
from app.devices.plan import Plan, version_key
from app.protocol.malformed import Malformed
from tests.devices.images import image

DEVICE = "aa:bb:cc:dd:ee:ff"


@pytest.fixture
def shelf(tmp_path: Path) -> FirmwareShelf:
    return FirmwareShelf(tmp_path / "firmware")


def put(shelf: FirmwareShelf, version: str, board: str = "bread", **plan: object) -> None:
    file = shelf._folder.parent / "built.bin"
    file.write_bytes(image(version))
    shelf.add(file, board, Plan(**plan))  # type: ignore[arg-type]


def offered(shelf: FirmwareShelf, version: str, board: str = "bread", device_id: str = DEVICE) -> str | None:
    found = shelf.newest_for(board, device_id, version)
    return found.version if found else None


def test_an_image_is_offered_from_the_next_request_on_that_comes_after_it(tmp_path: Path) -> None:
    shelf = FirmwareShelf(tmp_path / "firmware", clock=lambda: 0.0)
    assert offered(shelf, "1.0.0") is None
    put(shelf, "1.1.0")
    assert offered(shelf, "1.0.0") == "1.1.0"
    put(shelf, "1.2.0")
    assert offered(shelf, "1.0.0") == "1.2.0"
    shelf.remove("bread", "1.2.0")
    assert offered(shelf, "1.0.0") == "1.1.0"


@pytest.mark.parametrize("hashed", [True, False])
def test_the_version_and_the_project_are_read_out_of_the_header(hashed: bool) -> None:
    assert read_image(image("1.2.3", "xiaozhi", hashed=hashed)) == ImageInfo("1.2.3", "xiaozhi")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no ESP-IDF image"),
        (b"PK\x03\x04" * 100, "no ESP-IDF image"),
        (b"\xe9" + bytes(400), "no application description"),
        (image()[:-40], "cut short"),
        (image()[:600], "cut short"),
        (image()[:500] + b"!" + image()[501:], "damaged"),
    ],
)
def test_what_is_no_whole_image_is_refused_with_the_reason(content: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        read_image(content)


@given(st.binary(max_size=600), st.integers(0, 1100))
def test_any_bytes_are_an_image_or_refused(noise: bytes, at: int) -> None:
    whole = image()
    for content in (noise, b"\xe9" + noise, whole[:at] + noise + whole[at + len(noise) :]):
        with contextlib.suppress(Malformed):
            read_image(content)


def test_versions_compare_as_dotted_integers() -> None:
    versions = ["0.9", "1.0.0", "1.0.1", "1.2", "1.10", "2", "10.0"]
    shuffled = [versions[at] for at in (3, 6, 0, 5, 2, 4, 1)]
    assert sorted(shuffled, key=lambda version: version_key(version) or ()) == versions
    assert version_key("1.2") == version_key("1.2.0")
    assert version_key("v1.2") is None


def test_the_newest_image_above_the_devices_own_is_offered(shelf: FirmwareShelf) -> None:
    for version in ("1.9.0", "1.10.0", "1.2.0"):
        put(shelf, version)
    assert offered(shelf, "1.2.0") == "1.10.0"
    assert offered(shelf, "1.10.0") is None
    assert offered(shelf, "2.0.0") is None


def test_other_boards_and_unreadable_versions_are_offered_nothing(shelf: FirmwareShelf) -> None:
    put(shelf, "1.10.0")
    assert offered(shelf, "1.0.0", board="other") is None
    assert offered(shelf, "git-abc") is None


def test_a_forced_image_goes_to_newer_devices_and_is_the_last_word(shelf: FirmwareShelf) -> None:
    put(shelf, "2.0.0")
    put(shelf, "1.0.0", force=True)
    assert offered(shelf, "2.0.0") == "1.0.0"
    assert offered(shelf, "0.9.0") == "1.0.0"
    assert offered(shelf, "1.0.0") is None, "else it would be flashed at every start, or take turns with 2.0.0"


def test_a_share_is_of_the_devices_and_grows_without_losing_any(shelf: FirmwareShelf) -> None:
    devices = [f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}" for number in range(1000)]
    chosen: list[set[str]] = []
    for share in (0, 20, 60, 100):
        put(shelf, "1.1.0", share=share)
        chosen.append({device_id for device_id in devices if offered(shelf, "1.0.0", device_id=device_id)})
    assert [len(part) // 10 for part in (chosen[0], chosen[3])] == [0, 100]
    assert 150 < len(chosen[1]) < 250
    assert 550 < len(chosen[2]) < 650
    assert chosen[0] <= chosen[1] <= chosen[2] <= chosen[3]


def test_who_is_outside_the_share_gets_the_version_before(shelf: FirmwareShelf) -> None:
    put(shelf, "1.1.0")
    put(shelf, "1.2.0", share=0)
    assert offered(shelf, "1.0.0") == "1.1.0"


def test_an_image_whose_plan_is_damaged_is_not_offered(shelf: FirmwareShelf, tmp_path: Path) -> None:
    put(shelf, "1.1.0")
    for damaged in ("{", '{"share": 101}', '{"force": "perhaps"}', "[]"):
        (tmp_path / "firmware" / "bread" / "1.1.0.json").write_text(damaged)
        shelf._looked_at = None
        assert offered(shelf, "1.0.0") is None


def test_an_image_put_there_by_hand_needs_no_plan(shelf: FirmwareShelf, tmp_path: Path) -> None:
    (tmp_path / "firmware" / "bread").mkdir(parents=True)
    (tmp_path / "firmware" / "bread" / "1.1.0.bin").write_bytes(b"x")
    (tmp_path / "firmware" / "bread" / "notes.txt").write_bytes(b"x")
    assert offered(shelf, "1.0.0") == "1.1.0"


@pytest.mark.parametrize("board", ["..", ".", "", "a/b", "../bread", "bread\0", ".hidden"])
def test_a_board_that_is_no_plain_name_opens_nothing(shelf: FirmwareShelf, board: str) -> None:
    put(shelf, "1.0.0")
    with pytest.raises(FileNotFoundError):
        shelf.open(board, "1.0.0")
    with pytest.raises(Malformed):
        put(shelf, "1.0.0", board=board)


def test_symbolic_links_and_devices_are_not_followed(shelf: FirmwareShelf, tmp_path: Path) -> None:
    put(shelf, "1.0.0")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "1.0.0.bin").write_bytes(b"secret")
    (tmp_path / "firmware" / "linked").symlink_to(outside)
    (tmp_path / "firmware" / "bread" / "2.0.0.bin").symlink_to(outside / "1.0.0.bin")
    os.mkfifo(tmp_path / "firmware" / "bread" / "3.0.0.bin")
    for board, version in (("linked", "1.0.0"), ("bread", "2.0.0"), ("bread", "3.0.0")):
        with pytest.raises(FileNotFoundError):
            shelf.open(board, version)
        assert offered(shelf, "0.1", board=board) in (None, "1.0.0")
    os.close(shelf.open("bread", "1.0.0"))


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XIAOZHI_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


def test_the_command_adds_lists_and_removes(state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    built = tmp_path / "built.bin"
    built.write_bytes(image("1.2.3"))
    assert cli.main(["firmware", "add", str(built), "--board", "bread", "--share", "20", "--notes", "louder"]) == 0
    assert (state / "firmware" / "bread" / "1.2.3.bin").read_bytes() == image("1.2.3")
    assert cli.main(["firmware", "list"]) == 0
    said = capsys.readouterr().out
    assert "xiaozhi 1.2.3" in said
    assert "20 %" in said
    assert "louder" in said
    assert cli.main(["firmware", "remove", "bread", "1.2.3"]) == 0
    assert list((state / "firmware" / "bread").iterdir()) == []
    assert cli.main(["firmware", "remove", "bread", "1.2.3"]) == 1


@pytest.mark.parametrize(
    ("content", "reason"), [(b"GIF89a", "no ESP-IDF image"), (image("v1.2-dirty"), "PROJECT_VER"), (None, "No such file")]
)
def test_the_command_refuses_with_a_sentence(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, reason: str
) -> None:
    built = tmp_path / "built.bin"
    if content is not None:
        built.write_bytes(content)
    assert cli.main(["firmware", "add", str(built), "--board", "bread"]) == 1
    assert reason in capsys.readouterr().err
    assert not (state / "firmware").exists()
