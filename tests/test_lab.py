"""A chapter in a real JupyterLab, driven in Chromium: numbers in the prose, a slider, and a gauge of one's own."""

import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = "gauges_and_lmos.ipynb"
NEEDED = ("playwright", "jupyterlab", "jupyterlab_myst", "ipywidgets")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
LONG = 240_000  # milliseconds, for a cold start on a busy machine; the chapter takes a tenth of it
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false"},
    "notebook-extension/tracker": {"windowingMode": "none"},  # cells out of sight are in the page, too
}


@pytest.fixture(scope="module")
def browser():
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None] + ["Chromium"] * (path is None)
    if missing:
        pytest.skip(f"NO JUPYTERLAB IN A BROWSER, for want of {', '.join(missing)}: not tried by hand (make browser)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def lab(browser, tmp_path_factory):
    """Address of a server of its own, with its own settings, on a copy of the chapter."""
    home = tmp_path_factory.mktemp("lab")
    (home / "book").mkdir()
    shutil.copy(ROOT / "book" / PAGE, home / "book")
    for name, options in SETTINGS.items():
        path = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(options))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    env = os.environ | {name: str(home / name.lower()) for name in names}
    env |= {"JUPYTERLAB_SETTINGS_DIR": str(home / "settings"), "PYTHONPATH": str(ROOT)}
    options = ["--no-browser", "--allow-root", f"--port={port}", "--ServerApp.port_retries=0"]
    options += ["--IdentityProvider.token=", f"--ServerApp.root_dir={home / 'book'}"]
    with open(home / "log", "w") as log:
        command = [sys.executable, "-m", "jupyterlab", *options]
        server = subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}"
    try:
        until(lambda: server.poll() is not None or answers(f"{address}/api"), 60)
        assert server.poll() is None, (home / "log").read_text()
        yield address
    finally:
        server.terminate()  # it stops its kernels, too
        server.wait(30)


def answers(address):
    try:
        return urllib.request.urlopen(address, timeout=5).status == 200
    except OSError:
        return False


def ready(lab):
    """Whether the page has its kernel: JupyterLab calls itself idle before, and would ask for one."""
    try:
        with urllib.request.urlopen(f"{lab}/api/kernels", timeout=30) as answer:
            kernels = json.load(answer)
    except urllib.error.HTTPError:  # 500: the server lists a kernel a moment before it knows its state
        return False
    return any(kernel["execution_state"] == "idle" and kernel["connections"] for kernel in kernels)


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def chapter(browser, lab):
    """The chapter after "Run All Cells"."""
    page = browser.new_page(viewport={"width": 1300, "height": 1000})
    page.set_default_timeout(LONG)
    page.goto(f"{lab}/lab/tree/{PAGE}")
    idle = "document.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status === 'idle'"
    page.wait_for_selector(".jp-NotebookPanel .jp-CodeCell")
    until(lambda: ready(lab), 120)
    page.wait_for_function(idle)
    page.locator(".lm-MenuBar-itemLabel", has_text="Run").first.click()
    page.locator(".lm-Menu-itemLabel", has_text="Run All Cells").first.click()
    page.wait_for_selector('.jp-OutputArea select, [data-mime-type="application/vnd.jupyter.error"]', state="attached")
    page.wait_for_function(idle)
    yield page
    page.close()


def test_all_cells_run(chapter):
    assert chapter.locator('.jp-OutputArea [data-mime-type="application/vnd.jupyter.error"]').count() == 0
    prompts = chapter.locator(".jp-CodeCell .jp-InputPrompt").all_inner_texts()
    assert [prompt.strip() for prompt in prompts] == [f"[{k}]:" for k in range(1, len(prompts) + 1)]


def test_numbers_show_in_the_prose(chapter):
    asked = (ROOT / "book" / PAGE).read_text(encoding="utf-8").count("{eval}")
    assert asked >= 8

    def text():
        return " ".join(chapter.locator(".jp-MarkdownCell").all_inner_texts())

    until(lambda: "quoted" not in text())
    text = text()
    assert "Error" not in text
    forces = np.random.default_rng(0).normal(size=(300, 2)) @ [[1.5, 1.0], [-0.2, 0.3]]
    longer = np.linalg.cond(forces)  # of the ellipse at p = 1; its power 1/(2p - 1) at p = 2
    assert f"{longer:.1f} times as long" in text
    assert f"{longer ** (1 / 3):.2f}" in text
    z = 0.01
    for _ in range(5):
        z = 3.4445 * z - 4.7750 * z**3 + 2.0315 * z**5
    assert f"to {z:.3f};" in text


def dual(p, degrees=30):
    force = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.linalg.norm(force, 1 if p == np.inf else 2 * p / (2 * p - 1))


def test_a_slider_by_keyboard_and_by_mouse(chapter):
    picture = chapter.locator(".swref-explore", has_text="dual norm")
    slider, label = picture.locator("input[type=range]").first, picture.locator("output").first

    def says(p, words):
        until(lambda: label.inner_text() == words)
        until(lambda: f"dual norm {dual(p):.3f}" in picture.locator(".swref-note").inner_text())

    says(2, "2")
    slider.focus()
    chapter.keyboard.press("ArrowRight")
    says(2.05, "2.05")  # between the stored values: the kernel was asked
    assert picture.locator(".swref-badge").inner_text() == "kernel live"
    chapter.keyboard.press("ArrowLeft")
    chapter.keyboard.press("End")
    says(np.inf, "∞")
    box = slider.bounding_box()
    middle = box["y"] + box["height"] / 2
    chapter.mouse.click(box["x"] + 2, middle)
    says(1, "1")
    chapter.mouse.move(box["x"] + 8, middle)
    chapter.mouse.down()
    chapter.mouse.move(box["x"] + box["width"] - 1, middle, steps=5)
    chapter.mouse.up()
    says(np.inf, "∞")


def test_a_gauge_of_the_notebook_through_the_menu(chapter):
    gauges = chapter.locator(".jp-OutputArea select").first
    assert "harmonic" in gauges.locator("option").all_inner_texts()
    output = chapter.locator(".jp-OutputArea .widget-html-content").last

    def numbers(words):
        until(lambda: output.locator(f'img[alt^="{words}"]').count() == 1, 60)
        return [float(x) for x in re.findall(r"= ([\d.]+)", output.inner_text())]

    for name, shown in (("harmonic", "Harmonic"), ("trace", "Trace")):
        gauges.select_option(label=name)
        length, speed, gain = numbers(shown)
        assert abs(speed - length) < 1e-8
        assert abs(gain - length**2) < 1e-7
    forces = np.random.default_rng(0).normal(size=(300, 2)) @ [[1.5, 1.0], [-0.2, 0.3]]
    assert abs(length - np.linalg.norm(forces) / 300**0.5) < 1e-8
    gauges.select_option(label="schatten")
    field = chapter.locator(".jp-OutputArea input[type=text]").first
    field.fill("0.25")
    field.press("Enter")
    until(lambda: "p: expected p >= 1, got 0.25" in output.inner_text())
    gauges.focus()
    chapter.keyboard.press("ArrowUp")  # and not to the cell above
    until(lambda: gauges.evaluate("menu => menu.selectedOptions[0].text") == "root-schatten")
