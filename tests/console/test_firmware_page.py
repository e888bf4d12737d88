"""The firmware page, in a browser: an image is added, offered to a part of the devices, and arrives at one."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.request import Request, urlopen

from playwright.sync_api import Locator, Page, expect

from tests.console.browsing import PHONE, accessibility_faults, keep_picture, overflow_pixels
from tests.console.conftest import Open
from tests.devices.images import image
from tests.system.running_server import RunningServer

BOARD, DEVICES = "kitchen-radio", 12


def ask_ota(server: RunningServer, number: int, version: str, board: str = BOARD) -> str:
    """A device starts; the version that it is told to have."""
    body = json.dumps({"application": {"version": version}, "board": {"type": board}}).encode()
    headers = {"Device-Id": f"02:00:00:00:f1:{number:02x}", "Client-Id": "11111111-1111-1111-1111-111111111111"}
    with urlopen(Request(server.ota_url, body, {**headers, "Content-Type": "application/json"}), timeout=10) as answer:
        return str(json.load(answer)["firmware"]["version"])


def built(tmp_path: Path, version: str, size: int = 150_000) -> Path:
    file = tmp_path / f"{version}.bin"
    file.write_bytes(image(version, size=size))
    return file


def add(page: Page, file: Path, board: str, share: int, notes: str = "") -> None:
    form = page.locator("#upload")
    form.locator("input[name=file]").set_input_files(file)
    form.locator("input[name=board]").fill(board)
    form.locator("input[name=share]").fill(str(share))
    form.locator("input[name=notes]").fill(notes)
    form.get_by_role("button", name="Add").click()


def row_of(page: Page, board: str, version: str) -> Locator:
    return page.locator(f'[data-board="{board}"] [data-version="{version}"]')


def figure(row: Locator, name: str) -> Locator:
    return row.locator(f'[data-part="{name}"]')


def test_an_image_is_rolled_out_and_its_progress_moves(open_page: Open, console_server: RunningServer, tmp_path: Path) -> None:
    for number in range(DEVICES):
        ask_ota(console_server, number, "1.0.0")
    page = open_page("/firmware")
    add(page, built(tmp_path, "1.1.0"), BOARD, share=0, notes="Louder, and quieter at night")
    row = row_of(page, BOARD, "1.1.0")
    expect(row.get_by_text("Offered to nobody").first).to_be_visible()
    expect(page.locator('#upload [data-part="said"]')).to_have_text(f"xiaozhi 1.1.0 is here for {BOARD}.")

    row.get_by_text("Change the roll-out").click()
    row.locator("input[name=share]").fill("50")
    expect(row.locator("output")).to_have_text("Offered to 50 % of the devices")
    row.get_by_role("button", name="Save").click()
    expect(figure(row, "offer")).to_have_text("Offered to 50 % of the devices")

    offered = [number for number in range(DEVICES) if ask_ota(console_server, number, "1.0.0") == "1.1.0"]
    assert len(offered) > 1
    expect(figure(row, "arrived")).to_have_text(f"0 / {len(offered)}")
    expect(figure(row, "waiting")).to_have_text(str(len(offered)))
    for number in offered[1:]:
        ask_ota(console_server, number, "1.1.0")
    arrived = len(offered) - 1
    expect(figure(row, "arrived")).to_have_text(f"{arrived} / {len(offered)}")
    expect(figure(row, "running")).to_have_text(str(arrived))
    assert float(row.locator('[data-part="arrived_bar"]').get_attribute("width") or 0) > 0

    assert accessibility_faults(page) == []
    keep_picture(page, "firmware")
    keep_picture(open_page("/firmware", color_scheme="dark", locale="zh-CN"), "firmware-dark-zh")
    narrow = open_page("/firmware", viewport=PHONE)
    assert overflow_pixels(narrow) == 0
    keep_picture(narrow, "firmware-phone")

    row.get_by_text("Change the roll-out").click()
    row.locator("input[name=force]").check()
    expect(row.locator('[data-part="force_warning"]')).to_be_visible()
    row.get_by_role("button", name="Delete").click()
    dialog = page.locator("#confirm")
    expect(dialog.get_by_role("heading")).to_have_text(f"Delete {BOARD} 1.1.0?")
    dialog.get_by_role("button", name="Cancel").click()
    expect(row).to_be_visible()
    row.get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)
    assert ask_ota(console_server, offered[0], "1.0.0") == "1.0.0"


def test_what_is_no_image_is_said_in_a_sentence(open_page: Open, tmp_path: Path) -> None:
    page = open_page("/firmware")
    file = tmp_path / "picture.bin"
    file.write_bytes(b"\x89PNG" * 100)
    add(page, file, "porch-bell", share=100)
    expect(page.locator("#toasts").get_by_text("no ESP-IDF image")).to_be_visible()
    expect(page.locator('[data-board="porch-bell"]')).to_have_count(0)


def test_an_image_that_somebody_else_adds_shows_up_by_itself(
    open_page: Open, console_server: RunningServer, tmp_path: Path
) -> None:
    page = open_page("/firmware")
    expect(page.locator("#boards")).to_be_visible()
    folder = console_server.state_dir / "firmware" / "garden-lamp"
    folder.mkdir(parents=True)
    try:
        (folder / "2.0.0.bin").write_bytes(image("2.0.0"))
        expect(row_of(page, "garden-lamp", "2.0.0")).to_be_visible()
    finally:
        (folder / "2.0.0.bin").unlink()
        folder.rmdir()


def test_without_an_image_the_page_says_how_to_get_one(open_page: Open) -> None:
    page = open_page("/firmware")
    expect(page.get_by_role("heading", name="No image is here yet")).to_be_visible()
    assert accessibility_faults(page) == []
    keep_picture(page, "firmware-empty")
